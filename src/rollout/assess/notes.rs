//! What whoever takes a step should know, although it is safe.

use super::{Assessor, Effect, Kind, request, sources};
use crate::config::UnknownVersion;
use crate::rollout::LoadedConfig;
use crate::version::Version;

impl Assessor<'_> {
    pub(super) fn add_notes(&mut self) {
        self.note_unknown_versions();
        self.note_retired_with_pods();
        if let (Some(old), Some(new)) = (self.old.config.revision, self.new.config.revision)
            && old >= new
            // `helm template` renders every upgrade as the first.
            && new != 1
            && self.old.json != self.new.json
        {
            self.assessment.notes.push(format!(
                "the revision goes from {old} to {new}: skew-guard wait cannot recognise the new configuration by it; raise it"
            ));
        }
    }

    /// Versions that neither configuration lists may be of tabs of releases that were removed long
    /// ago.
    fn note_unknown_versions(&mut self) {
        let Some(place) = self.places().into_iter().next() else {
            return;
        };
        let moment = self.moments.first().copied().unwrap_or_default();
        let comes_back = ["0.0.0-unlisted", "999999.0.0", "unlisted"]
            .into_iter()
            .filter_map(|text| Version::parse(text.as_bytes()))
            .any(|version| {
                sources(self.old)
                    .iter()
                    .filter(|source| sources(self.new).contains(source))
                    .any(|source| {
                        let request = request(&place, Kind::Call, source, &version, moment);
                        self.effect(self.old, &request, &version, Kind::Call) == Effect::Gone
                            && matches!(
                                self.effect(self.new, &request, &version, Kind::Call),
                                Effect::Skewed(_)
                            )
                    })
            });
        if comes_back && self.unknown_handling(self.old) != self.unknown_handling(self.new) {
            self.assessment.notes.push(
                "clients of versions that are not listed were told to reload, and no longer are: if tabs of a release that was taken off the list may be open, list it as retired, or set unknownVersion to reload".to_owned(),
            );
        }
    }

    fn unknown_handling(&self, loaded: &LoadedConfig) -> (UnknownVersion, bool) {
        (
            loaded.config.unknown_version,
            loaded.config.current.is_some(),
        )
    }

    /// Without `current` the mesh hands out pages as long as there are pods.
    fn note_retired_with_pods(&mut self) {
        if self.new.config.current.is_some() {
            return;
        }
        let retired: Vec<_> = self
            .pods
            .iter()
            .filter(|release| self.new.policy.is_retired(&release.version))
            .map(|release| release.version.to_string())
            .collect();
        if !retired.is_empty() {
            self.assessment.notes.push(format!(
                "without current the mesh hands out pages of {} as long as it has pods, and their tabs would be told to reload: take this step when the last of its pods is gone",
                retired.join(", ")
            ));
        }
    }
}
