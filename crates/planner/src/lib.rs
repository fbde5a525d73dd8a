//! Plans the way of a mail server into a cluster and explains the choice.
