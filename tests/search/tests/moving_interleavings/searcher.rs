//! Searches the plan of the mutation that it is given by name, and prints the rule that is broken, and how.

mod search;
mod table;

use self::search::{Explored, explore};

fn main() {
    for name in std::env::args().skip(1) {
        let mutation = table::MUTATIONS.iter().find(|mutation| mutation.name == name).expect("a mutation");
        let Explored { worlds, broken } = explore(&(mutation.plan)());
        match broken {
            None => println!("{name}: nothing is broken in {worlds} worlds"),
            Some((rule, story)) => println!("{name}: broken: {rule}\n{story}"),
        }
    }
}
