//! The state folder: paths, permissions, the lock that makes us single.
