//! Lines as they come in: a thread of its own reads them, so that a slow source never holds up what is on its way.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::input::{Asked, Parser};

/// Longest line, in bytes.
const LINE_LEN_MAX: u64 = 1024 * 1024;

/// Lines read ahead of those that are wanted.
const AHEAD: usize = 4096;

/// What a line was.
#[derive(Debug)]
pub(crate) struct Read {
    /// Its number in the file, from 1.
    pub(crate) number: u64,
    /// Where in the file it ends.
    pub(crate) end: u64,
    /// What it asks for, or why that makes no sense.
    pub(crate) asked: Result<Asked, String>,
}

/// Where lines come from.
pub(crate) struct Source {
    input: Box<dyn BufRead + Send>,
    /// How many bytes there are, if that is known.
    pub(crate) len: Option<u64>,
}

impl Source {
    /// A file, or stdin for `-`.
    ///
    /// # Errors
    /// If there is no such file.
    pub(crate) fn open(path: &Path) -> Result<Source, String> {
        if path == Path::new("-") {
            return Ok(Source::stdin());
        }
        let file = File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Source {
            len: len(&file),
            input: Box::new(BufReader::with_capacity(64 * 1024, file)),
        })
    }

    pub(crate) fn stdin() -> Source {
        let stdin = io::stdin();
        let file = stdin.as_fd().try_clone_to_owned().map(File::from);
        Source {
            len: file.ok().as_ref().and_then(len),
            input: Box::new(BufReader::new(stdin)),
        }
    }

    /// Reads all lines in the background. The last message is an error if reading failed; then and at the end the
    /// channel closes.
    pub(crate) fn read(self, parser: Parser) -> Receiver<Result<Read, String>> {
        let (sender, lines) = sync_channel(AHEAD);
        thread::spawn(move || send_all(self.input, parser, &sender));
        lines
    }
}

/// How much a regular file holds; nobody knows that of a pipe.
fn len(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

fn send_all(mut input: impl BufRead, mut parser: Parser, sender: &SyncSender<Result<Read, String>>) {
    let (mut text, mut number, mut end) = (Vec::new(), 0, 0);
    loop {
        text.clear();
        number += 1;
        let read = input.by_ref().take(LINE_LEN_MAX).read_until(b'\n', &mut text);
        let len = match read.map(u64::try_from) {
            Ok(Ok(0)) => return,
            Ok(Ok(LINE_LEN_MAX)) => Err(format!("line {number} is longer than {LINE_LEN_MAX} bytes")),
            Ok(len) => Ok(len.expect("memory fits in 64 bits")),
            Err(error) => Err(format!("cannot read line {number}: {error}")),
        };
        let message = match len {
            Err(why) => Some(Err(why)),
            Ok(len) => {
                end += len;
                parse(&mut parser, &text, number == 1)
                    .transpose()
                    .map(|asked| Ok(Read { number, end, asked }))
            }
        };
        let over = matches!(message, Some(Err(_)));
        if message.is_some_and(|message| sender.send(message).is_err()) || over {
            return; // Whoever wanted the lines has stopped.
        }
    }
}

fn parse(parser: &mut Parser, text: &[u8], first: bool) -> Result<Option<Asked>, String> {
    let text = str::from_utf8(text).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let marked = if first {
        text.strip_prefix('\u{feff}')
    } else {
        None
    };
    parser.parse(marked.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::LineFormat;

    fn all(text: &[u8]) -> Vec<Result<Read, String>> {
        let source = Source {
            input: Box::new(io::Cursor::new(text.to_vec())),
            len: None,
        };
        source
            .read(Parser::new(None, LineFormat::Csv))
            .into_iter()
            .collect()
    }

    #[test]
    fn lines_keep_their_numbers_whatever_stands_between_them() {
        let lines = all(b"\xef\xbb\xbffrom,to,amount\r\n\nN1/A,N2/B,1\n\xff\nN1/A,N2/B,2");
        let lines: Vec<(u64, u64, bool)> = lines
            .into_iter()
            .map(Result::unwrap)
            .map(|read| (read.number, read.end, read.asked.is_ok()))
            .collect();
        assert_eq!(lines, [(3, 32, true), (4, 34, false), (5, 45, true)]);
    }

    #[test]
    fn a_line_without_an_end_is_not_gathered_for_ever() {
        let mut text = b"N1/A,N2/B,1\n".to_vec();
        text.resize(3 * 1024 * 1024, b'x');
        let lines = all(&text);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].as_ref().unwrap_err().contains("line 2 is longer"));
    }
}
