//! Is this file a GGUF at all? Asked before llama.cpp sees it, so that the
//! commonest mistakes (a download page, a Git LFS pointer, a wrong path) get an
//! answer that names the file and says what to do.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::model::ModelError;

const MAGIC: &[u8; 4] = b"GGUF";

/// # Errors
/// [`ModelError::Unavailable`] naming the file, if it is missing, unreadable or
/// begins with something else.
pub(super) fn check(path: &Path, name: Option<&str>) -> Result<(), ModelError> {
    let shown = path.display();
    let pull = format!("thrall model pull {}", name.unwrap_or_default());
    let pull = pull.trim_end();
    let unavailable = |reason: String| ModelError::Unavailable { reason };
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            unavailable(format!("model file {shown} does not exist; fetch it with `{pull}`"))
        }
        _ => unavailable(format!("model file {shown} cannot be opened: {error}")),
    })?;
    let mut magic = [0; 4];
    match file.read_exact(&mut magic) {
        Ok(()) if &magic == MAGIC => Ok(()),
        Ok(()) => Err(unavailable(format!(
            "{shown} is not a GGUF file: it begins with {:?}; fetch the model again with `{pull}`",
            String::from_utf8_lossy(&magic)
        ))),
        Err(error) => Err(unavailable(format!(
            "{shown} is not a GGUF file: its first four bytes cannot be read ({error})"
        ))),
    }
}
