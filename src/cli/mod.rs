//! One file a verb: arguments in, a report out; `show` alone writes to stdout.
