//! Label spaces, heads, calibration, fusion and events: the domain.
