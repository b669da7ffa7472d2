//! A few words → whether a text is one of them, in one comparison.

/// As many places as words are spread over.
const PLACES: usize = 32;

/// Words, none of which falls to the place of another.
pub(super) struct Words([&'static [u8]; PLACES]);

impl Words {
    pub(super) const fn new(words: &[&'static [u8]]) -> Self {
        let mut places: [&[u8]; PLACES] = [b""; PLACES];
        let mut n = 0;
        while n < words.len() {
            let place = place(words[n]);
            assert!(places[place].is_empty(), "two words fall to one place");
            places[place] = words[n];
            n += 1;
        }
        Self(places)
    }

    /// Whether `text` is one of them; nothing is none.
    #[inline]
    pub(super) fn have(&self, text: &[u8]) -> bool {
        !text.is_empty() && self.0[place(text)] == text
    }
}

/// Where a word falls: its length and its ends tell it apart.
#[inline]
const fn place(word: &[u8]) -> usize {
    match *word {
        [first, .., last] => (word.len() + first as usize + 26 * last as usize) % PLACES,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn its_words_are_told_from_all_others() {
        let words: [&[u8]; 4] = [b"user", b"tool", b"input_text", b"system"];
        let set = Words::new(&words);
        for word in words {
            assert!(set.have(word));
            for end in 0..word.len() {
                assert!(!set.have(&word[..end]));
            }
            assert!(!set.have(&[word, b"s"].concat()));
            assert!(!set.have(&word.to_ascii_uppercase()));
        }
    }
}
