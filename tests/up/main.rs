//! `twopence up` as a person uses it: started, looked at, broken, stopped, started again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod http;
mod processes;
mod running;
mod scenarios;
mod steps;
mod stores;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use running::{Up, eventually, twopence};

fn temp() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A whole HTTP response.
fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut all = String::new();
    stream.read_to_string(&mut all)?;
    Ok(all)
}

#[test]
fn the_first_start_opens_accounts_and_the_next_ones_keep_them() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    assert!(
        up.banner.contains("Opened with 1000 each: N1/A, N2/B."),
        "{}",
        up.banner
    );
    assert_eq!((up.balance("N1/A"), up.balance("N2/B")), (1000, 1000));
    up.client(&["transfer", "N1/A", "N2/B", "10"]);
    let (code, said) = up.stop();
    assert_eq!(code, Some(0));
    assert!(said.contains("Stopped cleanly. Everything is kept in"), "{said}");

    let mut up = Up::start(dir.path(), &[]);
    assert!(
        up.banner.contains("Accounts and balances are as they were left."),
        "{}",
        up.banner
    );
    assert_eq!((up.balance("N1/A"), up.balance("N2/B")), (990, 1010));
    up.stop();
}

#[test]
fn the_panel_is_served_where_the_banner_says_until_it_stops() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let address = up.http();
    let page = get(&address, "/").unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(page.contains("<title>Twopence"), "{page}");
    assert!(get(&address, "/healthz").unwrap().ends_with("ok\n"));
    assert_eq!(up.stop().0, Some(0));
    assert!(get(&address, "/healthz").is_err());
}

#[test]
fn opening_deposits_that_were_cut_short_are_repeated_and_change_nothing() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    up.client(&["transfer", "N1/A", "N2/B", "10"]);
    up.kill9();
    // As if it had been killed between the last deposit and its note.
    fs::remove_file(dir.path().join("up_seeded")).unwrap();
    let mut up = Up::start(dir.path(), &[]);
    assert!(up.banner.contains("Opened with 1000 each"), "{}", up.banner);
    assert_eq!((up.balance("N1/A"), up.balance("N2/B")), (990, 1010));
    up.stop();
}

#[test]
fn another_shape_is_refused_and_fresh_starts_over_once_nothing_runs() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &["--empty"]);
    assert!(
        up.banner.contains("No account is opened for you"),
        "{}",
        up.banner
    );
    let data_dir = dir.path().to_str().unwrap();
    let refused = twopence(&["up", "--fresh", "--http-port", "0", "--data-dir", data_dir]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(refused.stderr.contains("up.lock is held"), "{}", refused.stderr);
    assert_eq!(
        up.client(&["accounts", "N1"]).trim(),
        "ACCOUNT                             BALANCE"
    );
    up.stop();

    let refused = twopence(&["up", "--nodes", "3", "--http-port", "0", "--data-dir", data_dir]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        refused.stderr.contains("was made with --nodes 2 --store json"),
        "{}",
        refused.stderr
    );

    let mut up = Up::start(dir.path(), &["--fresh", "--store", "sled"]);
    assert!(up.banner.contains("Opened with 1000 each"), "{}", up.banner);
    assert!(up.banner.contains("sled store"), "{}", up.banner);
    up.stop();
}

#[test]
fn a_killed_process_comes_back_and_money_is_where_it_was() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    for name in ["N2", "coordinator"] {
        let before = up.pid(name);
        up.kill_child(name);
        up.wait_for(&format!("{name} was killed (SIGKILL). It is started again"));
        up.wait_for(&format!("{name} is back."));
        assert_ne!(up.pid(name), before);
        assert_eq!((up.balance("N1/A"), up.balance("N2/B")), (1000, 1000));
    }
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn demos_play_on_a_running_cluster() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &["--nodes", "3"]);
    for demo in ["concurrent", "conflict", "node-crash", "coordinator-crash"] {
        let told = twopence(&["demo", demo, "--coord", &up.coordinator]);
        assert_eq!(told.status.code(), Some(0), "{}{}", told.stdout, told.stderr);
        assert!(told.stdout.contains("PASS"), "{}", told.stdout);
    }
    let refused = twopence(&["demo", "restart", "--coord", &up.coordinator]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stdout);
    up.stop();
}

#[test]
fn a_store_that_was_damaged_ends_everything_with_its_exit_code() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    up.stop();
    let state = dir.path().join("node_N2_state.json");
    let mut text = fs::read(&state).unwrap();
    let middle = text.len() / 2;
    text[middle] ^= 1;
    fs::write(&state, &text).unwrap();
    let ports = Up::ports();
    faults::fired("D6");
    let failed = twopence(
        &[
            &["up", "--nodes", "2", "--data-dir", dir.path().to_str().unwrap()],
            &ports.flags()[..],
        ]
        .concat(),
    );
    assert_eq!(failed.status.code(), Some(9), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("N2 exited with code 9"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("node_N2_state.json"), "{}", failed.stderr);
    assert_eq!(fs::read(&state).unwrap(), text, "what is refused stays as it is");
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let dir = temp();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["--coord-port", "--base-port", "--http-port"] {
        let mut args = vec!["up", "--nodes", "1", "--data-dir", dir.path().to_str().unwrap()];
        args.extend([flag, &port]);
        if flag != "--http-port" {
            args.extend(["--http-port", "0"]);
        }
        let failed = twopence(&args);
        let text = failed.stderr;
        // The other flag's default may be taken on this machine too; then that is what it says.
        if text.contains(&format!("port {port} ")) {
            assert!(text.contains(&format!("with {flag}")), "{text}");
        }
        assert!(text.contains("is already in use by another process"), "{text}");
        assert_eq!(failed.status.code(), Some(5));
    }
}

#[test]
fn whatever_ends_up_ends_its_processes() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let children: Vec<u32> = ["N1", "N2", "coordinator"]
        .map(|name| up.pid(name).unwrap())
        .to_vec();
    up.kill9();
    for pid in children {
        // A process that init has not reaped yet has no command line any more.
        eventually("the orphans stop", || {
            fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty())
        });
    }
}
