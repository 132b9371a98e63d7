//! Misuse of the machine does not compile.

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/commit_during_load.rs");
    cases.compile_fail("tests/ui/commit_twice.rs");
    cases.compile_fail("tests/ui/cookie_before_done.rs");
    cases.compile_fail("tests/ui/resume_twice.rs");
    cases.compile_fail("tests/ui/step_ignored.rs");
    cases.compile_fail("tests/ui/supply_twice.rs");
    cases.compile_fail("tests/ui/types_mixed.rs");
    cases.compile_fail("tests/ui/use_after_commit.rs");
    cases.pass("tests/ui/passes.rs");
}
