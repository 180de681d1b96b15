//! The real program as a child process, and a plain HTTP/1.1 client to talk to it.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod stand_in;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program, with none of the caller's settings.
pub fn alluvium() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alluvium"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ALLUVIUM_")) {
        command.env_remove(name);
    }
    command.env("ALLUVIUM_VERBOSITY", "warn").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Output {
    alluvium().args(args).output().unwrap()
}

/// Runs the program, expects success, and returns what it printed.
pub fn succeed(args: &[&str]) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "alluvium {args:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a statement on a folder and returns its rows.
pub fn sql(data: &Path, statement: &str) -> Vec<Value> {
    let printed = succeed(&["--json", "sql", "--data", data.to_str().unwrap(), statement]);
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one number that a statement returns.
pub fn number(data: &Path, statement: &str) -> i64 {
    let rows = sql(data, statement);
    let row = rows[0].as_object().unwrap();
    row.values().next().unwrap().as_i64().unwrap()
}

/// A running `alluvium up`.
pub struct Node {
    child: Child,
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// The token that it has left in its folder; empty when it asks for none.
    pub token: String,
}

impl Node {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    /// Starts a node on a free port and waits until it listens.
    pub fn start_with(data: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn(data, args, environment).unwrap_or_else(|status| panic!("the node ended with {status}"))
    }

    /// Starts a node; the exit status when it ends before it listens.
    pub fn spawn(data: &Path, args: &[&str], environment: &[(&str, &str)]) -> Result<Self, ExitStatus> {
        let mut child = alluvium()
            .args(["--json", "up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(args)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            return Err(child.wait().unwrap());
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        let listen = ready["listening"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let token = std::fs::read_to_string(data.join("token")).unwrap_or_default().trim().to_owned();
        Ok(Self { child, listen, data: data.to_owned(), token })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the node ended with {status}");
    }

    /// Memory in use, in bytes, as the kernel has it.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How many files it has open whose name ends so, as the kernel has it.
    pub fn open_files(&self, ending: &str) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        open.filter(|path| path.to_string_lossy().trim_end_matches(" (deleted)").ends_with(ending)).count()
    }

    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.request("POST", path, &[("Content-Type", content_type)], body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        Connection::open(self.listen, &self.token).unwrap().request(method, path, headers, body).unwrap()
    }
}

/// Asks until the answer is as wanted, for ten seconds at the most.
pub fn eventually<T: std::fmt::Debug>(what: &str, mut ask: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: still {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// One HTTP/1.1 connection that is kept open, and the token that is shown on it unless a request brings its own.
pub struct Connection(BufReader<TcpStream>, String);

impl Connection {
    pub fn open(address: SocketAddr, token: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream), token.to_owned()))
    }

    /// Sends a request and reads the answer. An error means that it is not known what became of the request.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) && !self.1.is_empty() {
            head.push_str(&format!("Authorization: Bearer {}\r\n", self.1));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        // A refusal may come before the body is read; then writing the rest fails and the answer is there all the same.
        let _ = stream.write_all(body);
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding").is_some() {
            loop {
                let length = usize::from_str_radix(self.line()?.trim(), 16).map_err(std::io::Error::other)?;
                let mut chunk = vec![0; length + 2];
                self.0.read_exact(&mut chunk)?;
                if length == 0 {
                    break;
                }
                answer.body.extend_from_slice(&chunk[..length]);
            }
        } else {
            let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            answer.body.resize(length, 0);
            self.0.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
