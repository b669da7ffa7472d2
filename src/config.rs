//! defaults < file < environment < flags → one checked Config.
