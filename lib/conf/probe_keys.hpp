// The keys of a probe, which `ready` and `liveness` share: what is asked, and how often.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/field.hpp"
#include "conf/worker.hpp"
#include "core/spec.hpp"

namespace cluster::conf {

/// A table that says how something is known: by one probe, or (ready only) by a descriptor.
struct ProbeDraft {
    core::Probe* probe;
    const FileContext* file;
    std::vector<Field> kinds;  // the keys that name what is asked, in the order of the text
    std::optional<int> notification_fd = std::nullopt;
};

// Readers of single keys.
void read_probe_tcp(ProbeDraft& draft, const Field& field);
void read_probe_unix(ProbeDraft& draft, const Field& field);
void read_probe_http(ProbeDraft& draft, const Field& field);
void read_probe_command(ProbeDraft& draft, const Field& field);
void read_probe_status(ProbeDraft& draft, const Field& field);
void read_probe_initial_delay(ProbeDraft& draft, const Field& field);
void read_probe_period(ProbeDraft& draft, const Field& field);
void read_probe_timeout(ProbeDraft& draft, const Field& field);
void read_threshold(const Field& field, std::uint32_t& threshold);

/// Reports a table that asks nothing, or more than one thing, or a status of what has none.
/// `example`: of one that asks something. Requires: every key was read.
void finish_probe(const ProbeDraft& draft, const Field& table, const std::string& example);

}  // namespace cluster::conf
