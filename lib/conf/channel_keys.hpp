// [channel] and [[channel.rule]]: the message channel of all workers.
#pragma once

#include "conf/field.hpp"
#include "core/spec.hpp"

namespace cluster::conf {

/// Reads the table and reports what is wrong with it.
[[nodiscard]] core::ChannelSpec read_channel(const Field& field);

}  // namespace cluster::conf
