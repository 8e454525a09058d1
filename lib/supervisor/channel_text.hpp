// The [channel] table as text, in the record of the daemon that a successor reads.
#pragma once

#include "core/spec.hpp"
#include "json/json.hpp"

namespace cluster::supervisor {

[[nodiscard]] json::Json channel_fields(const core::ChannelSpec& spec);
/// What cannot be read is as by default. Never throws: the text is our predecessor's, but perhaps
/// of another version.
[[nodiscard]] core::ChannelSpec read_channel_fields(const json::Json& object);

}  // namespace cluster::supervisor
