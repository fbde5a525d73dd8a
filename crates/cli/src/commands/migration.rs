//! The verbs that take a site into a cluster.

use std::path::{Path, PathBuf};

use rehome::parts::site::{ServerName, SiteKind};
use rehome::sample::{SampleExportOptions, SampleForm, SampleOptions};
use rehome::{
    AuditOf, CalibrateOptions, ControlClient, Error, ExportOptions, Gates, MigrateOptions, Planned,
    Retune, ReverseOptions, RouteChoice, Session, SiteFile, Speeds, Summary, Work, of_export,
};

use super::answer;
use crate::args::{
    ApplyArgs, AuditArgs, CalibrateArgs, CheckArgs, DemoArgs, GateArgs, MigrateArgs,
    MigrationCommand, PlanArgs, ReverseArgs, RouteArg, SampleArgs, SampleFormArg, ServicesCommand,
    SiteArgs, WorkArgs,
};
use crate::view::View;

fn route(arg: RouteArg) -> RouteChoice {
    match arg {
        RouteArg::Auto => RouteChoice::Auto,
        RouteArg::MoveUsers => RouteChoice::MoveUsers,
        RouteArg::DisasterRecovery => RouteChoice::DisasterRecovery,
    }
}

fn gates(args: &GateArgs) -> Gates {
    Gates { confirmed: args.confirm.clone(), by: args.by.clone(), account: args.account.clone() }
}

/// The site and the work folder that the arguments name.
fn open(args: &SiteArgs) -> Result<(SiteFile, Work), Error> {
    let site = SiteFile::read(&args.site)?;
    let work = args.work.clone().map_or_else(|| site.default_work(), Work::new);
    Ok((site, work))
}

pub(crate) fn demo(
    args: &DemoArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let dir = args.dir.clone().unwrap_or_else(free_demo_folder);
    let summary = rehome::demo(session, &dir, route(args.route), &mut |event| view.show(&event))?;
    finish(&summary, view, json)
}

/// `rehome-demo`, or the first `rehome-demo-N` that does not exist.
fn free_demo_folder() -> PathBuf {
    let first = PathBuf::from("rehome-demo");
    let others = (2..).map(|number| PathBuf::from(format!("rehome-demo-{number}")));
    let mut all = std::iter::once(first).chain(others);
    all.find(|path| !path.exists()).expect("an endless list")
}

/// Shows how a migration ended; differences are an error.
fn finish(summary: &Summary, view: &mut View, json: bool) -> Result<(), Error> {
    view.end();
    answer(json, summary, &summary.to_string())?;
    summary.verdict()
}

pub(crate) fn sample(args: &SampleArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let standard = SampleOptions::default();
    if let Some(form) = args.export {
        return sample_export(args, form, view, json);
    }
    let options = SampleOptions {
        mailboxes: args.mailboxes.unwrap_or(standard.mailboxes),
        messages: args.messages.unwrap_or(standard.messages),
        seed: args.seed.unwrap_or(standard.seed),
        shared_percent: args.shared.unwrap_or(standard.shared_percent),
        size_percent: args.size.unwrap_or(standard.size_percent),
    };
    let report = rehome::write_sample(&args.dir, &options)?;
    view.end();
    let text = format!(
        "wrote a site of {} mailboxes and {} messages to {}\nnext: rehome plan {}",
        report.mailboxes,
        report.messages,
        args.dir.display(),
        args.dir.display()
    );
    answer(json, &report, &text)
}

/// Writes a sample export.
fn sample_export(
    args: &SampleArgs,
    form: SampleFormArg,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let options = SampleExportOptions {
        form: match form {
            SampleFormArg::Csv => SampleForm::Exchange55Csv,
            SampleFormArg::Ldif => SampleForm::AdLdif,
        },
        mailboxes: args.mailboxes.unwrap_or(400),
        servers: args.servers.unwrap_or(1),
        seed: args.seed.unwrap_or(1),
    };
    let report = rehome::write_sample_export(&args.dir, &options)?;
    view.end();
    let dir = args.dir.display();
    let (mailboxes, servers) = (report.mailboxes, report.servers);
    let text = format!(
        "wrote an export of {mailboxes} mailboxes on {servers} servers to {dir}\nnext: rehome plan \
         {dir}"
    );
    answer(json, &report, &text)
}

pub(crate) fn plan(
    args: &PlanArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let (site, work) = if rehome::is_export(&args.site.site) {
        open_export(args)?
    } else {
        let opened = open(&args.site)?;
        expect_no_export_options(args)?;
        opened
    };
    let route = route(args.site.route);
    let speeds = Speeds { calibration: args.speed.calibration.clone(), answered: args.answered };
    if !args.what_if.is_empty() {
        let found = rehome::what_if(session, &site, (&work, &speeds), route, &args.what_if)?;
        view.end();
        return answer(json, &found, &found.to_string());
    }
    let output = args.output.clone().unwrap_or_else(|| work.plan());
    let planned: Planned = rehome::plan(session, &site, &work, route, &output, &speeds)?;
    view.end();
    let next = match site.site.kind {
        SiteKind::Rehome => format!("rehome apply {}", planned.json_path.display()),
        SiteKind::Exchange55 => {
            format!("print {} and follow its run-book", planned.html_path.display())
        }
    };
    let text = format!(
        "{}\nwrote {} and {}\nnext: {next}",
        planned.text,
        planned.json_path.display(),
        planned.html_path.display(),
    );
    answer(json, &planned.plan, &text)
}

pub(crate) fn calibrate(
    args: &CalibrateArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let site = SiteFile::read(&args.site.site)?;
    let work = args.site.work.clone().map_or_else(|| site.default_work(), Work::new);
    let options =
        CalibrateOptions { sites: args.sites, seed: args.seed, scale_percent: args.scale };
    let report = rehome::calibrate(session, &work, &options, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.to_string())
}

pub(crate) fn diff(old: &Path, new: &Path, view: &mut View, json: bool) -> Result<(), Error> {
    let found = rehome::diff_plans(old, new)?;
    view.end();
    answer(json, &found, &found.to_string())
}

/// The site of a bare directory export.
fn open_export(args: &PlanArgs) -> Result<(SiteFile, Work), Error> {
    let server = args.server.as_deref().map(ServerName::new).transpose();
    let options = ExportOptions {
        server: server.map_err(|error| Error::BadInput { message: error.to_string() })?,
        sizes: args.sizes.clone(),
        all_servers: args.all_servers,
        ..super::directory::options(&args.export)
    };
    let site = of_export(&args.site.site, &options)?;
    let work = args.site.work.clone().map_or_else(|| site.default_work(), Work::new);
    Ok((site, work))
}

/// Refuses what would be without effect: a site that is no export says these things itself.
fn expect_no_export_options(args: &PlanArgs) -> Result<(), Error> {
    let given = [
        ("--sizes", args.sizes.is_some()),
        ("--server", args.server.is_some()),
        ("--all-servers", args.all_servers),
        ("--encoding", args.export.encoding.is_some()),
        ("--allow-unknown-columns", args.export.allow_unknown_columns),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Error::BadInput {
            message: format!(
                "{}: {option} is for a directory export (.csv, .ldif), and this is none, so it \
                 would be without effect; nothing was planned; leave it out, or say it in \
                 site.toml",
                args.site.site.display()
            ),
        }),
    }
}

pub(crate) fn check(args: &CheckArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let findings = rehome::check_plan_file(&args.plan)?;
    view.end();
    let text = if findings.is_empty() {
        "the plan is sound, and every precondition that can be judged before it starts is met"
            .to_owned()
    } else {
        findings.join("\n")
    };
    answer(json, &findings, &text)?;
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error::PreconditionOpen { message: format!("{} findings", findings.len()) })
}

pub(crate) fn apply(
    args: &ApplyArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let gates = gates(&args.gates);
    let summary = rehome::apply(session, &args.plan, &gates, &mut |event| view.show(&event))?;
    finish(&summary, view, json)
}

pub(crate) fn migrate(
    args: &MigrateArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let (site, work) = open(&args.site)?;
    let options = MigrateOptions {
        route: route(args.site.route),
        gates: gates(&args.gates),
        traffic: args.traffic,
        calibration: args.speed.calibration.clone(),
        back_out: args.back_out,
    };
    let observe = &mut |event| view.show(&event);
    let summary = rehome::migrate(session, &site, &work, &options, observe)?;
    finish(&summary, view, json)
}

pub(crate) fn reverse(
    args: &ReverseArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let options = ReverseOptions { wave: args.wave.clone(), traffic: args.traffic };
    let observe = &mut |event| view.show(&event);
    let reversal = rehome::reverse(session, &work(&args.work)?, &options, observe)?;
    view.end();
    answer(json, &reversal, &reversal.to_string())?;
    reversal.verdict()
}

pub(crate) fn audit(args: &AuditArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let of = match (&args.store, &args.maildir) {
        (Some(store), _) => AuditOf::Store(store.clone()),
        (None, Some(folder)) => AuditOf::Maildir(folder.clone()),
        (None, None) => AuditOf::Server,
    };
    let found = rehome::audit(&work(&args.work)?, &of, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &found, &found.to_string())?;
    found.verdict()
}

pub(crate) fn running(
    command: &MigrationCommand,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let client = |path: &Path| Ok::<_, Error>(ControlClient::new(&work(path)?));
    let now = match command {
        MigrationCommand::Status(args) => client(&args.work)?.status(),
        MigrationCommand::Pause { work, why } => client(work)?.pause(session, why),
        MigrationCommand::Resume(args) => client(&args.work)?.resume(),
        MigrationCommand::Retune(args) => {
            let new = Retune { bytes_per_second_max: args.rate, lanes: args.lanes };
            client(&args.work)?.retune(new)
        }
        MigrationCommand::Stop(args) => client(&args.work)?.stop(),
    }?;
    view.end();
    answer(json, &now, &now.to_string())
}

pub(crate) fn services(
    command: &ServicesCommand,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let now = match command {
        ServicesCommand::Status(args) => rehome::services_status(&work(&args.work)?),
        ServicesCommand::Start(args) => rehome::services_start(session, &work(&args.work)?),
        ServicesCommand::Stop(args) => rehome::services_stop(&work(&args.work)?),
    }?;
    view.end();
    answer(json, &now, &now.to_string())
}

pub(crate) fn status(args: &WorkArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let status = rehome::status(&work(&args.work)?)?;
    view.end();
    answer(json, &status, &status.to_string())
}

pub(crate) fn report(args: &WorkArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let path = rehome::report(&work(&args.work)?)?;
    view.end();
    answer(json, &path, &format!("wrote {}", path.display()))
}

/// A work folder that exists.
fn work(path: &Path) -> Result<Work, Error> {
    if path.is_dir() {
        return Ok(Work::new(path));
    }
    let message =
        format!("{}: no such work folder; give the one that --work named", path.display());
    Err(Error::BadInput { message })
}
