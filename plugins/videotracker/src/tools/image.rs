//! The tools for one image.

use super::args::to_base64;
use super::engine::Workspace;
use super::render::Telling;
use super::unnamed::WARNING;
use super::{Call, Engine, Search, stream_key};
use crate::fault::Result;
use crate::track::Tracker;
use serde_json::{Value, json};

impl Engine {
    pub(super) fn image(&self, search: Search, call: &Call<'_>) -> Result<String> {
        let settings = &self.configured.settings;
        let device = self.place(call)?;
        let (annotated, stream, reset) = (call.annotated()?, call.stream()?, call.reset()?);
        let mut frame = call.image(settings.max_pixels)?;
        let metas = self.meta(search, device)?;
        let frames = std::slice::from_ref(&frame);
        let mut scenes = self.look(search, frames, device, &mut Workspace::default())?;
        let mut scene = scenes.pop().unwrap_or_default();
        let size = (frame.width, frame.height);
        let frame_rate = call.frame_rate()?;
        let followed = match (search, stream) {
            (Search::Tracks | Search::Radar, Some(name)) => {
                let key = stream_key(name);
                if reset {
                    self.streams().remove(&key);
                }
                let tracks = self.follow(&key, frame_rate, &scene.detections);
                Some((key, tracks))
            }
            (Search::Tracks, None) => {
                Some(self.follow_unnamed(size, frame_rate, &scene.detections, reset))
            }
            _ => None,
        };
        let telling = Telling {
            search,
            metas: &metas,
            least: metas.least(settings),
        };
        let mut told = serde_json::Map::new();
        if let Some((key, tracks)) = followed {
            scene.tracks = tracks;
            let frames = self.streams().get(&key).map_or(1, Tracker::frames);
            let at = frames.saturating_sub(1);
            told.insert("frame_index".into(), json!(at));
            told.insert("stream".into(), json!(stream));
            let warnings = stream.is_none().then_some(WARNING);
            told.insert("warnings".into(), json!(warnings.as_slice()));
        }
        told.extend(telling.scene(&scene));
        told.insert("width".into(), json!(frame.width));
        told.insert("height".into(), json!(frame.height));
        told.insert("device".into(), json!(device.to_string()));
        if annotated {
            let picture = match search {
                Search::Radar => telling.radar(&scene).png()?,
                _ => {
                    telling.annotate(&scene, &mut frame);
                    frame.png()?
                }
            };
            told.insert("annotated_frame".into(), json!(to_base64(&picture)));
            told.insert("annotated_format".into(), json!("png"));
        }
        Ok(Value::Object(told).to_string())
    }
}
