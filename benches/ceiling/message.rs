//! What the processes of the mock tell each other: messages of one length, which is about that of real ones.

/// Bytes of a message.
pub(crate) const LEN: usize = 64;

/// What a message says about its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Client to coordinator: do it.
    Request,
    /// Coordinator to node.
    Prepare,
    /// Node to coordinator: yes, always.
    Vote,
    /// Coordinator to node.
    Commit,
    /// Node to coordinator: the commit is durable.
    Ack,
    /// Coordinator to client: it is decided.
    Outcome,
}

const WORDS: [Word; 6] = [
    Word::Request,
    Word::Prepare,
    Word::Vote,
    Word::Commit,
    Word::Ack,
    Word::Outcome,
];

/// A message. A transaction is known by its place among those in flight, nothing else is remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) word: Word,
    pub(crate) place: u32,
}

impl Message {
    /// Adds its bytes.
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        let start = out.len();
        let word = WORDS.iter().position(|word| *word == self.word);
        let word = word.and_then(|word| u8::try_from(word).ok());
        out.push(word.expect("every word is in the list"));
        out.extend_from_slice(&self.place.to_le_bytes());
        out.resize(start + LEN, 0);
    }

    /// Reads one; `None` if that is not a message.
    pub(crate) fn read(bytes: &[u8]) -> Option<Message> {
        let (&word, rest) = bytes.split_first()?;
        Some(Message {
            word: *WORDS.get(usize::from(word))?,
            place: u32::from_le_bytes(*rest.first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for (word, place) in WORDS.into_iter().zip([0, 1, 255, 256, 70_000, u32::MAX]) {
            let mut bytes = Vec::new();
            let message = Message { word, place };
            message.put(&mut bytes);
            assert_eq!(bytes.len(), LEN);
            assert_eq!(Message::read(&bytes), Some(message));
        }
        assert_eq!(Message::read(&[6; LEN]), None);
    }
}
