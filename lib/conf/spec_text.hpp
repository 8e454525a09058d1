// A worker's spec as keys and values of a config file, and the difference of two specs by key: what
// `apply --dry-run` and `describe` show.
//
// Two specs that differ always differ in at least one key, so a plan never says "unchanged" of what
// changes. Values are for people: durations and sizes with a unit, words quoted as a shell would.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/spec.hpp"

namespace cluster::conf {

/// When a changed key takes effect. As core::Fleet::update has it.
enum class Effect : std::uint8_t {
    in_place,  // at once, for the runs that there are
    restart,   // with the next run
};

struct KeyValue {
    std::string key;  // "stop_timeout", "env.PORT", "backoff.initial"
    std::string value;
    Effect effect = Effect::in_place;

    friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// Every key of the spec, in the order of config/clusterd.toml; keys without a value (no group, no
/// user) are left out. The name is no key.
[[nodiscard]] std::vector<KeyValue> keys_of(const core::WorkerSpec& spec);

struct KeyChange {
    std::string key;
    std::optional<std::string> before;  // absent: it was not set
    std::optional<std::string> after;
    Effect effect = Effect::in_place;

    friend bool operator==(const KeyChange&, const KeyChange&) = default;
};

/// Empty only for equal specs.
[[nodiscard]] std::vector<KeyChange> changes_between(const core::WorkerSpec& before,
                                                     const core::WorkerSpec& after);

/// Words as a shell would read them back: {"a b", "c"} → "'a b' c".
[[nodiscard]] std::string join_words(const std::vector<std::string>& words);

}  // namespace cluster::conf
