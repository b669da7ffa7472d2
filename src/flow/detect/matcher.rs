//! View → matches: one cheap gate, then the exact rule.
