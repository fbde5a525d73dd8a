//! What a migration has changed in the directory, for directories that are kept elsewhere.

use rehome_site::{
    DistinguishedName, MailboxName, OrganizationName, ServerName, SiteName, changes_as_csv,
    changes_as_ldif,
};

use crate::error::Error;
use crate::planning;
use crate::work::Work;

/// The form of the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangesForm {
    /// LDIF change records.
    Ldif,
    /// Comma-separated, as Exchange 5.5 imports it.
    Csv,
}

/// The mailboxes of a finished migration whose home has changed, as a text to be imported.
///
/// # Errors
///
/// [`Error::BadInput`] if the work folder has no plan or no directory yet.
pub fn directory_changes(work: &Work, form: ChangesForm) -> Result<String, Error> {
    let plan = planning::read(&work.plan())?;
    let folder = work.shared().join("directory");
    if !folder.is_dir() {
        let message = format!(
            "{}: the plan has not come as far as a directory; carry it out first",
            work.root().display()
        );
        return Err(Error::BadInput { message });
    }
    let directory = crate::directory::read(&folder)?;
    let before = plan.inventory.moving().map(|mailbox| (mailbox.name.as_str(), &mailbox.server));
    let before: std::collections::BTreeMap<&str, &String> = before.collect();
    let moved: Vec<(MailboxName, ServerName)> = directory
        .mailboxes()
        .into_iter()
        .filter(|(name, home)| {
            before.get(name.as_str()).is_some_and(|old| !old.eq_ignore_ascii_case(home.as_str()))
        })
        .collect();
    let organization = OrganizationName::new(&plan.inventory.organization);
    let site = SiteName::new(&plan.inventory.site);
    let (organization, site) =
        (organization.map_err(Error::bad_input)?, site.map_err(Error::bad_input)?);
    Ok(match form {
        ChangesForm::Ldif => {
            changes_as_ldif(&DistinguishedName::of_site(&organization, &site), &moved)
        }
        ChangesForm::Csv => changes_as_csv(&moved),
    })
}
