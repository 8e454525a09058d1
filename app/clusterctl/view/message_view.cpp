#include "clusterctl/view/message_view.hpp"

#include <cstddef>
#include <utility>

#include "json/text.hpp"

namespace cluster::clusterctl {
namespace {

using json::Json;

/// Of what a worker says: as deep as a channel lets it be (CHANNEL.md), and as much as one answer
/// of the daemon holds, many times over.
constexpr json::ParseBounds kMessageBounds{.depth = 100,
                                           .values = std::size_t{1} << 20U,
                                           .keys_per_object = std::size_t{1} << 14U,
                                           .last_key_counts = true};

/// The value that a worker said; as text where we cannot hold it, such as a number of a thousand
/// digits.
Json said_by_worker(const std::string& text) {
    auto value = json::parse(text, kMessageBounds);
    return value ? std::move(*value) : Json(text);
}

}  // namespace

std::string sent_document(const ctl::SendAnswer& answer) {
    Json document{{"delivered", answer.delivered}};
    if (answer.from) document["from"] = *answer.from;
    if (answer.reply) document["reply"] = said_by_worker(*answer.reply);
    if (answer.error) document["error"] = *answer.error;
    return dump_pretty(document);
}

std::string message_document(const ctl::SeenMessage& message) {
    return dump_line(Json{{"at_ms", message.at_ms},
                          {"from", message.from},
                          {"topic", message.topic},
                          {"message", said_by_worker(message.message)}}) +
           "\n";
}

}  // namespace cluster::clusterctl
