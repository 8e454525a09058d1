#include "worker/channel_message.hpp"

#include <cerrno>
#include <optional>
#include <string_view>

#include "channel/json.hpp"

namespace cluster::worker {
namespace {

using channel::JsonMember;
using channel::JsonType;
using channel::JsonValue;

/// The members of the daemon's messages, as far as this library hands them out.
struct Members {
    std::optional<JsonValue> cluster, id, from, topic, data, error, number;
};

std::optional<JsonValue>* place_of(Members& members, std::string_view name) {
    if (name == "cluster") return &members.cluster;
    if (name == "id") return &members.id;
    if (name == "from") return &members.from;
    if (name == "topic") return &members.topic;
    if (name == "data" || name == "value") return &members.data;
    if (name == "error") return &members.error;
    if (name == "count" || name == "grace_ms" || name == "delivered") return &members.number;
    return nullptr;
}

/// Nothing: the line is not one object.
std::optional<Members> members_of(std::string_view line) {
    Members members;
    channel::JsonMembers rest{line};
    for (JsonMember member; rest.next(member);) {
        if (auto* const place = place_of(members, member.name)) *place = member.value;
    }
    return rest.has_ended() ? std::optional{members} : std::nullopt;
}

unsigned kind_of(const JsonValue& name) {
    constexpr std::pair<std::string_view, unsigned> kKinds[] = {
        {"\"message\"", CLUSTER_MESSAGE}, {"\"request\"", CLUSTER_REQUEST},
        {"\"reply\"", CLUSTER_REPLY},     {"\"dropped\"", CLUSTER_DROPPED},
        {"\"stopping\"", CLUSTER_STOPPING}};
    for (const auto& [text, kind] : kKinds) {
        if (name.text == text) return kind;
    }
    return 0;
}

/// A piece of the line as bytes that may be written.
std::span<char> writable(std::span<char> line, std::string_view part) {
    return line.subspan(static_cast<std::size_t>(part.data() - line.data()));
}

/// Null where there is none, or it is no string.
const char* text_of(std::span<char> line, const std::optional<JsonValue>& value) {
    if (!value || !value->is_string()) return nullptr;
    char* const text = writable(line, value->text).data();
    text[channel::decode_string(*value, text)] = '\0';
    return text;
}

}  // namespace

Result<cluster_message> read_message(std::span<char> line) {
    constexpr std::string_view kOfTheDaemon = "{\"cluster\":";
    const std::string_view text{line.data(), line.size()};
    cluster_message message{};
    line.data()[line.size()] = '\0';
    if (text.substr(0, kOfTheDaemon.size()) != kOfTheDaemon) {
        message.kind = CLUSTER_APPLICATION;
        message.data = text.data();
        message.data_size = text.size();
        return message;
    }
    const auto members = members_of(text);
    if (!members || !members->cluster) return fail(Op::message, EBADMSG);
    message.kind = kind_of(*members->cluster);
    if (message.kind == 0) return fail(Op::message, EBADMSG);
    if (members->id) {
        message.id = static_cast<std::uint64_t>(channel::integer_of(*members->id).value_or(0));
    }
    if (members->number) message.number = channel::integer_of(*members->number).value_or(0);
    if (members->data) {
        message.data = members->data->text.data();
        message.data_size = members->data->text.size();
    }
    // Nothing is read any more, so that the bytes between the values may be written.
    if (message.data != nullptr) *(writable(line, members->data->text).data() + message.data_size) = '\0';
    message.from = text_of(line, members->from);
    message.topic = text_of(line, members->topic);
    message.error = text_of(line, members->error);
    return message;
}

}  // namespace cluster::worker
