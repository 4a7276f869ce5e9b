//! What holds for the problems of any file: there are some, each on one line,
//! and each lies inside the text, where an editor can go.

use thrall::strict_toml::Problem;

use crate::shape;

/// Checks them all and says how they look.
pub(crate) fn check(data: &[u8], problems: &[Problem]) -> u64 {
    assert!(!problems.is_empty(), "refused without a reason");
    assert!(problems.len() <= 100, "{} problems", problems.len());
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        let inside = problem.line >= 1 && problem.line <= lines.len();
        assert!(inside, "line {} of {}: {problem:?}", problem.line, lines.len());
        let width = lines[problem.line - 1].chars().count();
        assert!(
            problem.column >= 1 && problem.column <= width + 1,
            "column {} of {width}: {problem:?}",
            problem.column
        );
        assert!(!problem.to_string().contains('\n'), "{problem:?}");
    }
    shape::of(problems.iter().map(|problem| shape::words(&problem.what)).collect::<Vec<_>>())
}
