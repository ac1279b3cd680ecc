//! The checksum of frames, lines and files, written down once more from its definition, so that an oracle does not ask
//! the code it judges.

/// CRC-32 as in IEEE 802.3: reflected polynomial, all ones before and behind.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8
    })
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index: usize = 0;
    let mut value: u32 = 0;
    while index < 256 {
        let mut crc = value;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
        value += 1;
    }
    table
};

#[test]
fn the_check_value_of_the_definition_comes_out() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}
