//! Everything a person with write access might try. Exit codes as `verify` documents them.
//!
//! Which test holds which row; those without a file are in `attacks/`.
//!
//! | attack, or what is none | exit | test |
//! |---|---|---|
//! | nothing | 0 | `a_clean_folder_verifies_and_says_what_that_does_not_prove` |
//! | the log grew; its unsigned tail is torn | 0 | `records_above_the_signed_head_are_tolerated` |
//! | a record edited | 1 | `an_edited_record_is_refused` |
//! | edited and chained anew | 1 | `a_log_edited_and_chained_anew_is_refused` |
//! | a record taken from the middle | 1 | `a_record_taken_from_the_middle_is_missed` |
//! | the signed tail cut | 1 | `a_signed_tail_that_is_cut_is_missed` |
//! | the log emptied | 1 | `an_emptied_or_removed_log_is_missed` |
//! | the log of another installation | 1 | `the_log_of_another_installation_is_refused` |
//! | a prefix dropped | 1 | `retention::a_prefix_dropped_without_a_prune_is_refused` |
//! | a prune forged in the unsigned tail | 1 | `retention::a_prune_forged_in_the_unsigned_tail_helps_nobody` |
//! | retention, over and over, at every step | 0 | `retention::retention_again_and_again_verifies_at_every_step` |
//! | a log begun anew by a person | 0 | `recovery::a_log_begun_anew_verifies_and_says_from_where_on_it_is_provable` |
//! | a recovery nobody signed | 1 | `recovery::a_recovery_nobody_signed_excuses_nothing` |
//! | one flipped bit, one cut, anywhere | 1 | `one_flipped_bit_anywhere_never_verifies`, `a_file_cut_anywhere_never_verifies` |
//! | damage at random | ≠ 0 | `mutations::no_random_damage_to_what_is_signed_verifies` |
//! | any content, a gigabyte, no file at all | 1, 74 | `hostile::any_content_at_all_is_answered`, and the others there |
//! | `__proto__` appended | 1 | `an_appended_prototype_is_refused_even_where_the_digest_holds` |
//! | the state swapped | 1 | `a_swapped_state_is_refused` |
//! | a signature over another file | 1 | `a_state_whose_signature_is_anothers_is_refused` |
//! | a signature spelt otherwise, or malleable | 1 | `other_spellings_of_a_signature_are_refused`; `keys/tests` |
//! | a weak key, a wrong key, none | 1 | `a_weak_or_broken_anchor_is_refused`, `another_key_and_no_key_are_refused` |
//! | the key file swapped for a weak one | 1 | `rotation::a_key_file_swapped_for_a_weak_or_another_key_is_refused` |
//! | a rotation removed | 1 | `rotation::a_rotation_removed_is_missed_from_either_key` |
//! | a rotation without the old key | 1 | `rotation::both_keys_must_have_signed_a_statement` |
//! | two rotations from one key | 1 | `rotation::whoever_stole_the_old_key_cannot_lead_away_from_the_new_one` |
//! | the old key used on | 1 | `rotation::the_old_key_signs_nothing_from_its_rotation_on` |
//! | a rotation, at every step | 0 | `rotation::every_step_of_a_rotation_verifies_from_the_old_key` |
//! | `current` leads elsewhere | 1 | `current_must_be_a_relative_name_of_twelve_digits` |
//! | a generation half written | 1 | `a_missing_file_of_the_generation_is_missed`, `a_generation_half_written_is_no_last_word` |
//! | a counter going backwards | 1 | `a_counter_that_fell_below_a_retained_generation_is_refused` |
//! | a posture moved | 1 | `a_posture_moved_to_another_generation_is_refused` |
//! | the mode changed, and signed | 2 | `time::a_state_that_differs_from_the_baseline_is_drift_and_the_member_is_named` |
//! | expired; a machine that was suspended | 3 | `time::a_posture_is_current_until_the_end_of_its_validity` |
//! | a clock set back, a year ahead | 3 | `time::a_posture_from_the_future_is_refused`, `time::validity_is_exactly_three_periods` |
//! | `valid_until` edited | 1, 3 | `one_flipped_bit_anywhere_never_verifies`; signed, `time::validity_is_exactly_three_periods` |
//! | `current` rolled back | 3 | `current_set_back_behind_a_later_statement_is_seen` |
//! | the folder rolled back, with memory | 3 | `memory::a_folder_set_back_is_seen_and_a_backup_is_named_with_it` |
//! | the posture alone rolled back | 3 | `memory::a_posture_set_back_alone_is_seen_with_and_without_memory` |
//! | a fork: two exports of one number | 3 | `memory::two_postures_with_one_number_are_a_fork` |
//! | another installation, with memory | 3 | `memory::another_installation_is_not_taken_for_the_one_remembered` |
//! | killed, then `export` | 3 | `time::a_stopped_monitor_passes_only_if_asked_and_stopped_on_purpose` |
//! | the scanner dead | 3 | `time::a_monitor_that_says_it_is_not_whole_does_not_pass` |
//! | the log unreadable | 74 | `an_unreadable_log_is_unverifiable` |
//! | the next version of a document | 74 | `a_later_version_of_a_document_is_unverifiable_only_if_signed`, and of every other kind in its file |

mod anywhere;
mod at_work;
mod documents;
mod generations;
mod log;
mod nothing;

use crate::support::{Home, put};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn put_lines(path: &Path, lines: &[String]) {
    put(path, lines.iter().flat_map(|l| [l, "\n"]).collect::<String>().as_bytes());
}

/// The sealed segment of [`Home::new`].
pub(crate) fn segment(home: &Home) -> PathBuf {
    home.at("findings-000000000001.jsonl")
}
