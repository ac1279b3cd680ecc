//! `twopence gateway`: the API alone, in front of a cluster that somebody else runs.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Http;
use crate::world::World;

const TRANSFER: &str = r#"{"from":"N1/A","to":"N2/B","amount":10}"#;

/// A running gateway.
struct Gateway {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    http: Http,
}

impl Gateway {
    fn start(world: &World) -> Gateway {
        let coordinator = world.cluster.client_config().coordinators.join(",");
        let mut child = command(&[
            "--coord",
            &coordinator,
            "--http-port",
            "0",
            "--timeout-ms",
            "2000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        let http = Http(rest.split(',').next().unwrap().parse().unwrap());
        Gateway { child, stdout, http }
    }

    /// Tells it to stop. Returns its exit code and its last words.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Over already in a test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopence"));
    command.arg("gateway").args(args);
    command
}

#[test]
fn a_gateway_moves_money_has_no_control_and_outlives_the_coordinator() {
    let mut world = World::new();
    let gateway = Gateway::start(&world);
    let pay = |key| gateway.http.post_with_key("/v1/transactions", key, TRANSFER);
    pay("first").is_ok();
    gateway
        .http
        .get("/v1/control/cluster")
        .is_problem(404, "not_found");
    let kill = gateway.http.post("/v1/control/processes/N1/kill", "{}");
    kill.is_problem(404, "not_found");
    let foreign = [
        ("Content-Type", "application/json"),
        ("Origin", "http://evil.example"),
    ];
    let refused = gateway.http.send("POST", "/v1/transactions", &foreign, TRANSFER);
    refused.is_problem(403, "foreign_origin");

    world.kill_coordinator();
    pay("second").is_problem(503, "no_coordinator");
    world.restart_coordinator();
    let began = Instant::now();
    while pay("second").status != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "it was not noticed");
    }
    assert_eq!((world.balance("N1/A"), world.balance("N2/B")), (980, 1020));
    let (code, said) = gateway.stop();
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "Stopped. The cluster runs on.\n")
    );
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(&["--http-port", &port]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(
        said.contains(&format!("127.0.0.1:{port} is already in use")),
        "{said}"
    );
    assert!(said.contains("--http-port 0"), "{said}");
}
