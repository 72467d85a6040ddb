//! What a hostile run can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use super::attack::Attack;

/// Attacks, one after the other, with honest load beside each.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Run this attack alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Seconds for which each attack goes on.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// A folder with the server, built for release, to attack in the place of the one that is built now.
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
}

impl Args {
    /// How long each attack goes on.
    pub(super) fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The attacks that are wanted.
    pub(super) fn chosen(&self, mut all: Vec<Attack>) -> anyhow::Result<Vec<Attack>> {
        let names: Vec<_> = all.iter().map(|attack| attack.name).collect();
        let unknown = self.only.iter().find(|name| !names.contains(&name.as_str()));
        ensure!(unknown.is_none(), "{} is none of {}", unknown.map_or("", String::as_str), names.join(", "));
        all.retain(|attack| self.only.is_empty() || self.only.iter().any(|name| name == attack.name));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let only = only.iter().map(|&name| name.to_owned()).collect();
        let args = Args { only, seconds: 1, programs: None };
        let all = ["one", "two"].map(|name| Attack::new(name, "", |_| async {}));
        Ok(args.chosen(all.into())?.iter().map(|attack| attack.name).collect())
    }

    #[test]
    fn an_attack_is_chosen_by_its_name_and_a_wrong_name_is_told() {
        assert_eq!(chosen(&[]).unwrap(), ["one", "two"]);
        assert_eq!(chosen(&["two"]).unwrap(), ["two"]);
        assert_eq!(chosen(&["three"]).unwrap_err().to_string(), "three is none of one, two");
    }
}
