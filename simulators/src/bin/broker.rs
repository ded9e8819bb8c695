//! An MQTT 5 broker for trying things out. Anonymous, in memory: not for a site.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use simulators::Broker;

/// MQTT 5 broker for trying things out (anonymous, in memory)
#[derive(Parser)]
struct Args {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:1883")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    simulators::logging::start("warn", false);
    let broker = Broker::start_on(Args::parse().listen).await?;
    println!("{}", broker.url());
    tokio::signal::ctrl_c().await?;
    broker.stop().await;
    Ok(())
}
