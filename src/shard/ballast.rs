//! A file that holds some space back, so that a full disk still has room for deletes and positions.

use crate::config::Config;
use crate::sys::files;
use std::fs::{self, OpenOptions};
use std::path::PathBuf;

/// Bytes held back at most; less on a small file system.
const BALLAST_BYTES: u64 = 8 << 20;

/// See the module's page.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// The ballast of a data directory; holds nothing yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { path: config.data_dir.join("ballast") }
    }

    /// Reserves the space, if it is not.
    pub fn hold(&self) {
        if self.path.exists() {
            return;
        }
        if let Ok(file) = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)
            && files::allocate(&file, BALLAST_BYTES).is_err()
        {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the space back.
    pub fn release(&self) {
        // Nothing depends on it: without the file there is that much less in reserve.
        let _ = fs::remove_file(&self.path);
    }
}
