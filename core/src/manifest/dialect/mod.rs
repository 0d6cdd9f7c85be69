//! Other hosts' manifests in Plugward's own words.
//!
//! Each step changes the data in place and notes what it assumed. A step that does not fully
//! understand a value leaves it alone: the schema then refuses it and names the place, which is
//! better than a guess.

mod depends;
mod folder;
mod gpu;
mod keys;
mod kind;
mod models;
mod tools;
mod walk;

pub(super) use kind::of_file as kind_of_file;

use super::Assumption;
use super::validate::TREE;
use serde_json::{Map, Value};
use std::path::Path;

/// What was assumed so far.
#[derive(Default)]
struct Notes(Vec<Assumption>);

impl Notes {
    fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Assumption {
            key: key.into(),
            message: message.into(),
        });
    }
}

/// Rewrites `value`; `dir` is the folder of the file, where there is one.
pub(super) fn normalise(value: &mut Value, dir: Option<&Path>) -> Vec<Assumption> {
    let mut notes = Notes::default();
    walk::lower(value, &TREE, "", &mut notes);
    if let Some(map) = value.as_object_mut() {
        rewrite(map, dir, &mut notes);
    }
    // Once more: tools and models have only now their final shape.
    walk::lower(value, &TREE, "", &mut notes);
    notes.0
}

fn rewrite(map: &mut Map<String, Value>, dir: Option<&Path>, notes: &mut Notes) {
    map.remove("$schema");
    keys::rename(map, notes);
    folder::fill(map, dir, notes);
    kind::settle(map, notes);
    keys::drop_foreign(map, notes);
    depends::flatten(map, notes);
    models::shape(map, notes);
    gpu::shape(map, notes);
    tools::shape(map, notes);
}
