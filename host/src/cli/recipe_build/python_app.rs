//! A component from `app.py`: componentize-py bundles it with a Python. It is not
//! installed here; it is found, or the line that installs it is named.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail};

use super::{Built, Failure, Problem, component_name, read};
use crate::cli::recipe_new::{COMPONENTIZE_PY, contract};

const APP: &str = "app.py";
const WORLD: &str = "wit/world.wit";

pub(super) fn build(dir: &Path, work: &Path) -> Result<Built, Failure> {
    let name = recipe_name(dir)?;
    let wit = gather_wit(dir, work)?;
    let tool = find_tool()?;
    let bindings = clear_bindings(dir)?;
    let made = run(&tool, dir, &wit, ["bindings".as_ref(), bindings.as_os_str()])?;
    check(&made, WORLD)?;
    let module = work.join("component.wasm");
    let arguments: [&OsStr; 4] =
        ["componentize".as_ref(), "app".as_ref(), "-o".as_ref(), module.as_os_str()];
    check(&run(&tool, dir, &wit, arguments)?, APP)?;
    let bytes = std::fs::read(&module)
        .with_context(|| format!("componentize-py left no {}", module.display()))?;
    Ok(Built { name, bytes })
}

/// The recipe's file names the component; without one, the folder does.
fn recipe_name(dir: &Path) -> Result<String, Failure> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_recipe = path.extension()? == "toml" && path.file_name()? != "pyproject.toml";
            is_recipe.then(|| Some(path.file_stem()?.to_str()?.to_owned()))?
        })
        .collect();
    names.sort();
    match names.as_slice() {
        [one] => Ok(component_name(&format!("{one}.toml"), one)?),
        [] => {
            let folder = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
            Ok(component_name(APP, folder)?)
        }
        [first, second, ..] => Err(Problem::in_file(
            &format!("{second}.toml"),
            format!("which is the recipe, {first}.toml or {second}.toml?"),
            "keep one recipe file in the folder: the component is called like it",
        )
        .into()),
    }
}

/// The author's world with the contract beside it: always the one of this
/// thrall, so that what is built is what loads here.
fn gather_wit(dir: &Path, work: &Path) -> Result<PathBuf, Failure> {
    if !dir.join(WORLD).is_file() {
        return Err(Problem::in_file(
            WORLD,
            "there is no such file",
            "`thrall recipe new NAME --lang python` writes one; it says what app.py imports and exports",
        )
        .into());
    }
    let world = read(&dir.join(WORLD))?;
    let wit = work.join("wit");
    let deps = wit.join("deps/thrall-recipe");
    let gathered = std::fs::create_dir_all(&deps).and_then(|()| {
        std::fs::write(wit.join("world.wit"), world)?;
        contract().try_for_each(|(name, content)| std::fs::write(deps.join(name), content))
    });
    gathered.with_context(|| format!("cannot write {}", wit.display()))?;
    Ok(wit)
}

/// The folder of stubs for the author's tests, gone if it is there from the last
/// build: componentize-py writes into none that exists.
fn clear_bindings(dir: &Path) -> Result<PathBuf, Failure> {
    let bindings = dir.join("bindings");
    if bindings.join("wit_world/__init__.py").is_file() {
        std::fs::remove_dir_all(&bindings)
            .with_context(|| format!("cannot remove {}", bindings.display()))?;
    } else if bindings.symlink_metadata().is_ok() {
        return Err(Problem::in_file(
            "bindings",
            "it is no folder of componentize-py's",
            "rename it: the stubs for test_app.py are written there",
        )
        .into());
    }
    Ok(bindings)
}

/// On the path, or in the environment that set-up made.
fn find_tool() -> anyhow::Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let made = cache_folder().join(format!("componentize-py-{COMPONENTIZE_PY}/bin"));
    std::env::split_paths(&on_path)
        .chain([made])
        .map(|folder| folder.join("componentize-py"))
        .find(|path| path.is_file())
        .map_or_else(
            || bail!("there is no componentize-py here: `pip install componentize-py=={COMPONENTIZE_PY}`, or `make setup` in thrall's folder"),
            Ok,
        )
}

/// As `scripts/lib.sh` has it.
fn cache_folder() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    cache.unwrap_or_default().join("thrall")
}

fn run<const N: usize>(
    tool: &Path,
    dir: &Path,
    wit: &Path,
    arguments: [&OsStr; N],
) -> anyhow::Result<Output> {
    Command::new(tool)
        .current_dir(dir)
        .args(["--quiet", "--world", "recipe", "--wit-path"])
        .arg(wit)
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .output()
        .with_context(|| format!("cannot run {}", tool.display()))
}

fn check(output: &Output, file: &str) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let talk = String::from_utf8_lossy(&output.stderr);
    let (problem, talk) = explain(&talk, file);
    Err(Failure::Refused { problem, talk })
}

/// The place and the sentence in a Python error, and the part of the talk that is
/// about the author's files.
fn explain(talk: &str, file: &str) -> (Problem, String) {
    let own = talk.split_once("AssertionError: ").map_or(talk, |(_, own)| own);
    if let Some(problem) = wit_problem(own) {
        return (problem, own.trim_end().to_owned());
    }
    let own = own.split("\nCaused by:").next().unwrap_or(own);
    let own = own.split("\nStack backtrace:").next().unwrap_or(own).trim_end();
    // The innermost frame comes last; its folder is componentize-py's own.
    let place = own.lines().rev().find_map(|line| {
        let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let name = path.trim_start_matches('/').split_once('/').map_or(path, |(_, name)| name);
        Some((name.to_owned(), digits.parse().ok()?))
    });
    let (file, line) = place.unwrap_or_else(|| (file.to_owned(), 1));
    let what = own.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed").trim();
    let remedy = remedy(what);
    (Problem { line, ..Problem::in_file(&file, what, remedy) }, own.to_owned())
}

/// A mistake in the world: `what`, and below it `--> FOLDER/wit/world.wit:6:24`.
fn wit_problem(talk: &str) -> Option<Problem> {
    let mut what = "";
    for line in talk.lines() {
        let Some(place) = line.trim_start().strip_prefix("--> ") else {
            what = line;
            continue;
        };
        let mut parts = place.trim_end().rsplitn(3, ':');
        let (column, line, path) = (parts.next()?, parts.next()?, parts.next()?);
        let file = if path.ends_with("wit/world.wit") { WORLD } else { path };
        // Causes are numbered where there are several.
        let what = what.trim().trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').trim();
        let remedy = "the interfaces and types that there are stand in wit/deps/thrall-recipe";
        let (line, column) = (line.parse().ok()?, column.parse().ok()?);
        return Some(Problem { line, column, ..Problem::in_file(file, what, remedy) });
    }
    None
}

fn remedy(what: &str) -> &'static str {
    if what.contains("no attribute 'WitWorld'") {
        "write class WitWorld(wit_world.WitWorld) with the function that wit/world.wit exports"
    } else if what.starts_with("ModuleNotFoundError") || what.starts_with("ImportError") {
        "import what stands in this folder, in Python's library, or in wit/world.wit; each `import` there becomes a module of wit_world.imports"
    } else if what.starts_with("SyntaxError") {
        "repair the line"
    } else {
        "componentize-py's own words stand above"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_error_is_named_with_file_and_line() {
        let talk = "Traceback (most recent call last):\n  File \"/usr/bin/componentize-py\", line 8, in <module>\n    sys.exit(script())\nAssertionError:   File \"/0/app.py\", line 3\n    def evaluate(self)\n                      ^\nSyntaxError: expected ':'\n\n\nCaused by:\n    SyntaxError: expected ':' (app.py, line 3)\n\nStack backtrace:\n   0: <anyhow::Error>::msg\n";
        let (problem, own) = explain(talk, APP);
        assert_eq!((problem.file.as_str(), problem.line), ("app.py", 3));
        assert_eq!(problem.what, "SyntaxError: expected ':'");
        assert!(!own.contains("backtrace") && !own.contains("/usr/bin"), "{own}");
    }

    #[test]
    fn a_mistake_in_the_world_is_named_with_its_place() {
        let talk = "AssertionError: failed to resolve directory\n\nCaused by:\n    0: failed to parse package: wit\n    1: interface not found in package\n         --> /x/target/thrall/wit/world.wit:6:24\n          |\n        6 |   import thrall:recipe/modle@1.0.0;\n";
        let (problem, _) = explain(talk, WORLD);
        assert_eq!((problem.file.as_str(), problem.line, problem.column), (WORLD, 6, 24));
        assert_eq!(problem.what, "interface not found in package");
    }

    #[test]
    fn a_missing_class_says_what_to_write() {
        let talk = "AssertionError: AttributeError: module 'app' has no attribute 'WitWorld'. Did you mean: 'wit_world'?\n\n\nCaused by:\n    x\n";
        let (problem, _) = explain(talk, APP);
        assert_eq!((problem.file.as_str(), problem.line), (APP, 1));
        assert!(problem.remedy.contains("class WitWorld"), "{problem:?}");
    }

    #[test]
    fn only_generated_bindings_are_cleared() {
        let dir = tempfile::tempdir().unwrap();
        assert!(clear_bindings(dir.path()).is_ok());
        std::fs::create_dir_all(dir.path().join("bindings/wit_world")).unwrap();
        assert!(clear_bindings(dir.path()).is_err(), "an author's folder is kept");
        std::fs::write(dir.path().join("bindings/wit_world/__init__.py"), "").unwrap();
        assert!(clear_bindings(dir.path()).is_ok());
        assert!(!dir.path().join("bindings").exists());
    }

    #[test]
    fn the_recipes_file_names_the_component() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("links.toml"), "").unwrap();
        std::fs::write(dir.path().join("pyproject.toml"), "").unwrap();
        assert_eq!(recipe_name(dir.path()).ok().unwrap(), "links");
        std::fs::write(dir.path().join("other.toml"), "").unwrap();
        assert!(recipe_name(dir.path()).is_err());
    }
}
