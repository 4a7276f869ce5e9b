//! A whole conversion, of a model small enough to be made here.

use std::io::Cursor;

use super::*;
use crate::ids::Digest;

const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhi\n##s\n";
const WIDTH: usize = 32;
const INNER: usize = 64;

fn vocabulary() -> Vocabulary {
    read_vocabulary(&mut WORDS.as_bytes()).unwrap()
}

/// For tests of others: the published files of a model with four heads.
pub(crate) fn small_vocabulary() -> &'static str {
    WORDS
}

pub(crate) fn small_weights() -> Vec<u8> {
    file(&tensors())
}

/// Every tensor that a BERT of one layer has, with its shape.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![7, WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![4, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![WIDTH]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![WIDTH]),
    ];
    for (name, shape) in [
        ("attention.self.query", [WIDTH, WIDTH]),
        ("attention.self.key", [WIDTH, WIDTH]),
        ("attention.self.value", [WIDTH, WIDTH]),
        ("attention.output.dense", [WIDTH, WIDTH]),
        ("intermediate.dense", [INNER, WIDTH]),
        ("output.dense", [WIDTH, INNER]),
    ] {
        tensors.push((format!("encoder.layer.0.{name}.weight"), shape.to_vec()));
        tensors.push((format!("encoder.layer.0.{name}.bias"), vec![shape[0]]));
    }
    for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
        tensors.push((format!("encoder.layer.0.{name}.weight"), vec![WIDTH]));
        tensors.push((format!("encoder.layer.0.{name}.bias"), vec![WIDTH]));
    }
    tensors.push(("pooler.dense.weight".to_owned(), vec![WIDTH, WIDTH]));
    tensors
}

/// A safetensors file of these tensors, with numbers that repeat nowhere.
fn file(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut head = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape) in tensors {
        let from = data.len();
        for at in 0..shape.iter().product::<usize>() {
            let number = ((data.len() + at) % 251) as f32 / 16.0 - 7.5;
            data.extend(number.to_le_bytes());
        }
        let place = serde_json::json!({
            "dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]
        });
        head.insert(name.clone(), place);
    }
    let head = serde_json::Value::from(head).to_string();
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head.as_bytes());
    bytes.extend(data);
    bytes
}

fn convert(heads: u32, weights: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let mut out = Vec::new();
    bert_q8_0(heads, &mut Cursor::new(weights), &vocabulary(), &mut out)?;
    Ok(out)
}

fn refusal(tensors: &[(String, Vec<usize>)]) -> String {
    convert(4, &file(tensors)).unwrap_err().to_string()
}

#[test]
fn the_same_files_give_the_same_bytes_everywhere() {
    let weights = file(&tensors());
    let converted = convert(4, &weights).unwrap();
    assert_eq!(converted, convert(4, &weights).unwrap());
    let expected = "6f7c33b1733b11206397b02fbc2035f9fcf056d691fa747d26ccf3a8bb4f63ed";
    assert_eq!(Digest::of(&converted).to_string(), expected);
    assert_ne!(converted, convert(2, &weights).unwrap());
}

#[test]
fn only_what_the_encoder_needs_is_in_it_and_small_tensors_keep_their_numbers() {
    let weights = file(&tensors());
    let converted = convert(4, &weights).unwrap();
    let has = |bytes: &[u8]| converted.windows(bytes.len()).any(|window| window == bytes);
    for name in ["token_embd.weight", "blk.0.attn_output_norm.bias", "blk.0.ffn_down.weight"] {
        assert!(has(name.as_bytes()), "{name}");
    }
    assert!(!has(b"pooler") && !has(b"dense"));
    let header = safetensors::Header::read(&mut Cursor::new(&weights)).unwrap();
    let place = &header.tensors["embeddings.position_embeddings.weight"].place;
    let numbers = weights.get(place.start as usize..place.end as usize).unwrap();
    assert!(has(numbers));
    let place = &header.tensors["encoder.layer.0.output.dense.weight"].place;
    assert!(!has(weights.get(place.start as usize..place.end as usize).unwrap()));
}

#[test]
fn another_model_is_refused_by_what_differs() {
    let without = |name: &str| {
        tensors().into_iter().filter(|(found, _)| !found.ends_with(name)).collect::<Vec<_>>()
    };
    let changed = |name: &str, shape: &[usize]| {
        let mut tensors = tensors();
        for (found, old) in &mut tensors {
            if found.ends_with(name) {
                *old = shape.to_vec();
            }
        }
        tensors
    };
    for (tensors, reason) in [
        (without("word_embeddings.weight"), "no tensor \"embeddings.word_embeddings.weight\""),
        (without("self.key.bias"), "no tensor \"encoder.layer.0.attention.self.key.bias\""),
        (changed("self.key.bias", &[31]), "of shape [31], not F32 of shape [32]"),
        (changed("word_embeddings.weight", &[8, WIDTH]), "8 words, the vocabulary 7"),
        (changed("word_embeddings.weight", &[7, 33]), "no whole blocks"),
        (changed("word_embeddings.weight", &[7 * WIDTH]), "is no matrix"),
        (changed("position_embeddings.weight", &[4, 31]), "of shape [4, 31]"),
    ] {
        let error = refusal(&tensors);
        assert!(error.contains(reason), "{error} / {reason}");
    }
    let heads = convert(5, &file(&tensors())).unwrap_err().to_string();
    assert!(heads.contains("5 heads cannot share"), "{heads}");
}

#[test]
fn a_number_that_is_none_is_refused() {
    let mut weights = file(&tensors());
    let header = safetensors::Header::read(&mut Cursor::new(&weights)).unwrap();
    let at = header.tensors["encoder.layer.0.intermediate.dense.weight"].place.start as usize;
    weights[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = convert(4, &weights).unwrap_err().to_string();
    assert!(error.contains("blk.0.ffn_up.weight has a number that is not finite"), "{error}");
}

#[test]
fn a_writer_that_fails_is_told_apart_from_a_bad_file() {
    let mut small = [0_u8; 64];
    let weights = file(&tensors());
    let error = bert_q8_0(4, &mut Cursor::new(weights), &vocabulary(), &mut small.as_mut_slice());
    assert!(matches!(error, Err(ConvertError::Write(_))));
}
