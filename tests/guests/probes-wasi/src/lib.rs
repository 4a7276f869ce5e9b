//! A filter that tries one way out through WASI, the one that its recipe's
//! `[config]` names in `probe`, and tells in its reason what it met. The
//! interfaces are those of WASI 0.2 with the functions used here.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]
#![allow(clippy::all, clippy::indexing_slicing, reason = "generated code keeps its own style")]

wit_bindgen::generate!({
    path: ["wasi.wit", "../../../wit"],
    inline: r"
        package guest:probes-wasi;
        world guest {
            include thrall:recipe/filter@1.0.0;
            import wasi:cli/environment@0.2.0;
            import wasi:cli/exit@0.2.0;
            import wasi:cli/stdin@0.2.0;
            import wasi:cli/stdout@0.2.0;
            import wasi:cli/stderr@0.2.0;
            import wasi:clocks/monotonic-clock@0.2.0;
            import wasi:clocks/wall-clock@0.2.0;
            import wasi:filesystem/preopens@0.2.0;
            import wasi:random/random@0.2.0;
            import wasi:random/insecure@0.2.0;
            import wasi:random/insecure-seed@0.2.0;
            import wasi:sockets/instance-network@0.2.0;
            import wasi:sockets/ip-name-lookup@0.2.0;
            import wasi:sockets/tcp-create-socket@0.2.0;
            import wasi:sockets/udp-create-socket@0.2.0;
        }
    ",
    generate_all,
});

use serde::Deserialize;

use wasi::cli::{environment, exit, stderr, stdin, stdout};
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::filesystem::preopens;
use wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasi::io::poll;
use wasi::io::streams::StreamError;
use wasi::random::{insecure, insecure_seed, random};
use wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

#[derive(Deserialize)]
struct Tables {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    probe: String,
    #[serde(default)]
    times: u64,
}

struct Probe;

impl Guest for Probe {
    fn decide(_: Envelope, situation: Situation) -> Result<Decision, String> {
        let Tables { config } =
            serde_json::from_str(&situation.config).map_err(|error| error.to_string())?;
        Ok(Decision::Skip(probe(&config)?))
    }
}

export!(Probe);

fn probe(Config { probe, times }: &Config) -> Result<String, String> {
    Ok(match probe.as_str() {
        "files" => files(),
        "environment" => format!(
            "environment {:?}, arguments {:?}, folder {:?}",
            environment::get_environment(),
            environment::get_arguments(),
            environment::initial_cwd()
        ),
        "tcp" => tcp(),
        "tcp-listen" => tcp_listen(),
        "udp" => udp(),
        "lookup" => lookup(),
        "sleep" => sleep(*times),
        "sleep-until" => {
            monotonic_clock::subscribe_instant(u64::MAX).block();
            monotonic_clock::subscribe_duration(u64::MAX).block();
            format!("now {}", monotonic_clock::now())
        }
        "wall-clock" => format!("{:?} of {:?}", wall_clock::now(), wall_clock::resolution()),
        "random" => format!(
            "{:x} {:x} {:x} {:x?}",
            random::get_random_u64(),
            random::get_random_u64(),
            insecure::get_insecure_random_u64(),
            insecure_seed::insecure_seed()
        ),
        "random-bytes" => format!("{} bytes", random::get_random_bytes(*times).len()),
        "insecure-bytes" => format!("{} bytes", insecure::get_insecure_random_bytes(*times).len()),
        "print" => print(*times),
        "print-too-much" => {
            let wrote = stdout::get_stdout().write(&vec![b'x'; 1 << 20]);
            format!("{wrote:?}")
        }
        "zeroes" => {
            let wrote = stdout::get_stdout().blocking_write_zeroes_and_flush(*times);
            format!("{wrote:?}")
        }
        "stdin" => match stdin::get_stdin().blocking_read(*times) {
            Ok(bytes) => format!("{} bytes", bytes.len()),
            Err(StreamError::Closed) => "closed".to_owned(),
            Err(StreamError::LastOperationFailed(error)) => error.to_debug_string(),
        },
        "exit" => {
            exit::exit(if *times == 0 { Ok(()) } else { Err(()) });
            "still here".to_owned()
        }
        "many-pollables" => {
            let all: Vec<_> = (0..*times).map(monotonic_clock::subscribe_duration).collect();
            let ready = poll::poll(&all.iter().collect::<Vec<_>>());
            format!("{} of {} ready", ready.len(), all.len())
        }
        "poll-nothing" => format!("{:?}", poll::poll(&[])),
        "many-sockets" => {
            let all: Vec<_> = (0..*times)
                .map(|_| tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4))
                .collect();
            let made = all.iter().filter(|socket| socket.is_ok()).count();
            format!("{made} of {} made", all.len())
        }
        other => return Err(format!("no probe is called {other:?}")),
    })
}

/// Every folder that the host has opened, and what can be opened in it.
fn files() -> String {
    let folders = preopens::get_directories();
    let opened: Vec<String> = folders
        .iter()
        .map(|(folder, name)| {
            let opened = folder.open_at(
                PathFlags::SYMLINK_FOLLOW,
                "etc/passwd",
                OpenFlags::empty(),
                DescriptorFlags::READ,
            );
            format!("{name}: {opened:?}")
        })
        .collect();
    format!("{} folders {opened:?}", folders.len())
}

const LOOPBACK: IpSocketAddress =
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 9, address: (127, 0, 0, 1) });

fn tcp() -> String {
    let network = instance_network::instance_network();
    match tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => {
            let started = socket.start_connect(&network, LOOPBACK);
            format!("start-connect {started:?}, finish-connect {:?}", socket.finish_connect())
        }
        Err(error) => format!("create {}", error.name()),
    }
}

fn tcp_listen() -> String {
    let network = instance_network::instance_network();
    match tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv6) {
        Ok(socket) => {
            let any = IpSocketAddress::Ipv6(wasi::sockets::network::Ipv6SocketAddress {
                port: 0,
                flow_info: 0,
                address: (0, 0, 0, 0, 0, 0, 0, 1),
                scope_id: 0,
            });
            let started = socket.start_bind(&network, any);
            format!(
                "start-bind {started:?}, finish-bind {:?}, start-listen {:?}",
                socket.finish_bind(),
                socket.start_listen()
            )
        }
        Err(error) => format!("create {}", error.name()),
    }
}

fn udp() -> String {
    let network = instance_network::instance_network();
    match udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => {
            let started = socket.start_bind(&network, LOOPBACK);
            let finished = socket.finish_bind();
            let stream = socket.stream(Some(LOOPBACK)).map(|_| "open");
            format!("start-bind {started:?}, finish-bind {finished:?}, stream {stream:?}")
        }
        Err(error) => format!("create {}", error.name()),
    }
}

fn lookup() -> String {
    let network = instance_network::instance_network();
    match ip_name_lookup::resolve_addresses(&network, "localhost") {
        Ok(stream) => {
            stream.subscribe().block();
            format!("{:?}", stream.resolve_next_address())
        }
        Err(error) => error.name().to_owned(),
    }
}

/// Sleeps so many seconds and looks at both clocks before and after.
fn sleep(seconds: u64) -> String {
    let clocks = || (wall_clock::now().seconds, monotonic_clock::now() / 1_000_000_000);
    let before = clocks();
    monotonic_clock::subscribe_duration(seconds.saturating_mul(1_000_000_000)).block();
    let after = clocks();
    format!("wall +{} s, monotonic +{} s", after.0 - before.0, after.1 - before.1)
}

/// Prints so many lines on both streams.
fn print(lines: u64) -> String {
    let (out, err) = (stdout::get_stdout(), stderr::get_stderr());
    let printed = (0..lines).filter(|line| {
        out.blocking_write_and_flush(format!("out {line}\n").as_bytes()).is_ok()
            && err.blocking_write_and_flush(format!("err {line}\n").as_bytes()).is_ok()
    });
    format!("printed {}", printed.count())
}
