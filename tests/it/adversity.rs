//! When things go wrong around a running service: the disk, the database file,
//! the clock, and sheer numbers. Each behaviour stands in README.md, "When
//! things go wrong".

mod clock;
mod disk;
mod numbers;
