// What send, publish and messages show with --json. Pure.
#pragma once

#include <string>

#include "ctl/protocol.hpp"

namespace cluster::clusterctl {

/// {"delivered"}, and "from", "reply", "error" where there is one.
[[nodiscard]] std::string sent_document(const ctl::SendAnswer& answer);

/// {"at_ms", "from", "topic", "message"} on one line, newline included. `from` and `topic`: null
/// for a message from outside, and for one that was not published.
[[nodiscard]] std::string message_document(const ctl::SeenMessage& message);

}  // namespace cluster::clusterctl
