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
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    let broker = Broker::start_on(Args::parse().listen).await?;
    println!("{}", broker.url());
    tokio::signal::ctrl_c().await?;
    broker.stop().await;
    Ok(())
}
