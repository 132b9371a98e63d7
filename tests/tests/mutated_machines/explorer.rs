//! Searches the plans of the mutations that it is given by name, and prints what came of each.

mod explore;
mod table;

use self::explore::{Exploration, explore};

fn main() {
    for name in std::env::args().skip(1) {
        let mutation = table::all().find(|mutation| mutation.name == name).expect("a mutation");
        let Exploration { worlds, complete, broken, .. } = explore(&(mutation.plan)());
        println!("worlds {worlds} {}", if complete { "complete" } else { "incomplete" });
        for (rule, story) in broken {
            println!("broken {rule}");
            story.lines().for_each(|line| println!("| {line}"));
        }
    }
}
