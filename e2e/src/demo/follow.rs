//! Shows the rollout until it has ended.

use std::time::{Duration, Instant};

use anyhow::bail;
use api::BottlerocketShadow;
use kube::Api;
use kube::api::ListParams;
use tokio::time::sleep;

use super::args::Args;
use super::screen::Screen;
use super::view::{Rows, changes, progress, rows, table};
use crate::fleet::rollout;

/// How often the screen is drawn.
const EVERY: Duration = Duration::from_millis(500);

/// Shows the rollout until every node is updated.
pub(super) async fn follow(shadows: &Api<BottlerocketShadow>, args: &Args, screen: &mut Screen) -> anyhow::Result<()> {
    let began = Instant::now();
    let updated = rollout::updated(shadows.clone().into_client(), &args.release, args.nodes(), args.patience());
    let show = async {
        let mut before = Rows::new();
        loop {
            if let Ok(shadows) = shadows.list(&ListParams::default()).await {
                let now = rows(&shadows.items);
                let bar = progress(&shadows.items, &args.release, began.elapsed().as_secs());
                if screen.redraws() {
                    let mut lines = table(&now);
                    lines.push(bar);
                    screen.draw(&lines);
                } else {
                    changes(&before, &now).iter().for_each(|line| screen.line(line));
                }
                before = now;
            }
            sleep(EVERY).await;
        }
    };
    tokio::select! {
        ended = updated => ended,
        () = show => bail!("the screen ended"),
    }
}
