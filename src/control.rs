//! What a running monitor is asked through `run/control.sock`.
