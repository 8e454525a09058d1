// workers.describe's answer: rendered by the supervisor, parsed by clusterctl. Field order is that
// of CONTROL.md.
#include <limits>
#include <utility>

#include "ctl/answer_fields.hpp"

namespace cluster::ctl {
namespace {

constexpr std::uint64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();

// --- rendering ---

Json past_exit_fields(const PastExit& past) {
    Json fields = last_exit_fields(past.exit);
    fields["run"] = past.run;
    fields["pid"] = past.pid;
    fields["uptime_ms"] = past.uptime_ms;
    return fields;
}

/// The numbers of a channel by name, for both directions.
constexpr std::pair<const char*, std::uint64_t ChannelStatus::*> kChannelCounts[] = {
    {"received", &ChannelStatus::received},
    {"sent", &ChannelStatus::sent},
    {"queued_bytes", &ChannelStatus::queued_bytes},
    {"malformed", &ChannelStatus::malformed},
    {"too_long", &ChannelStatus::too_long},
    {"unfinished", &ChannelStatus::unfinished},
    {"dropped", &ChannelStatus::dropped},
    {"undeliverable", &ChannelStatus::undeliverable},
    {"unanswered", &ChannelStatus::unanswered},
    {"descriptors", &ChannelStatus::descriptors},
    {"unmatched", &ChannelStatus::unmatched}};

Json channel_fields(const ChannelStatus& channel) {
    Json fields{{"mode", channel.mode},
                {"state", channel.state},
                {"heartbeat_ms", channel.heartbeat_ms},
                {"subscriptions", channel.subscriptions},
                {"requests", channel.requests}};
    for (const auto& [name, count] : kChannelCounts) fields[name] = channel.*count;
    return fields;
}

template <class Element, class Render>
Json array_of(const std::vector<Element>& elements, Render render) {
    Json list = Json::array();
    for (const Element& element : elements) list.push_back(render(element));
    return list;
}

Json cluster_fields(const ClusterStatus& cluster) {
    return Json{{"state", cluster.state},
                {"drains", cluster.drains},
                {"unanswered", cluster.unanswered},
                {"addresses", array_of(cluster.addresses,
                                       [](const ClusterAddress& each) {
                                           return Json{{"address", each.address},
                                                       {"schedule", each.schedule},
                                                       {"connections", each.connections}};
                                       })},
                {"problem", cluster.problem},
                {"warning", cluster.warning}};
}

Json description_fields(const Description& description) {
    Json fields = worker_fields(description.status);
    fields["source"] = description.source;
    fields["run"] = description.run;
    fields["waits_for"] = description.waits_for;
    fields["reload_failure"] = description.reload_failure;
    fields["liveness_failure"] = description.liveness_failure;
    fields["refused_notifications"] = description.refused_notifications;
    fields["stored_descriptors"] = description.stored_descriptors;
    fields["deadline"] = description.deadline;
    fields["deadline_ms"] = description.deadline_ms;
    fields["sockets"] = sockets_fields(description.sockets);
    fields["channel"] = description.channel ? channel_fields(*description.channel) : Json();
    fields["cluster"] = description.cluster ? cluster_fields(*description.cluster) : Json();
    fields["spec"] = array_of(description.spec, [](const SpecKey& key) {
        return Json{{"key", key.key}, {"value", key.value}, {"origin", key.origin}};
    });
    fields["environment_read"] = description.is_environment_read;
    fields["environment_problem"] = description.environment_problem;
    fields["environment"] = array_of(description.environment, [](const Variable& variable) {
        return Json{
            {"name", variable.name}, {"next", variable.next}, {"running", variable.running}};
    });
    fields["descriptor_count"] = description.descriptor_count;
    fields["descriptors"] = array_of(description.descriptors, [](const OpenDescriptor& open) {
        return Json{{"number", open.number}, {"target", open.target}};
    });
    fields["exits"] = array_of(description.exits, past_exit_fields);
    return fields;
}

// --- parsing ---

PastExit read_past_exit(const Json& value, const std::string& where) {
    PastExit past;
    past.exit = read_last_exit(value, where);
    FieldReader fields(value, where, UnknownFields::ignore);
    past.run = fields.counter("run");
    if (fields.find("pid") != nullptr) {
        past.pid = static_cast<std::int32_t>(fields.integer("pid", 0, kMaxInt32));
    }
    past.uptime_ms = optional_integer(fields, "uptime_ms");
    return past;
}

/// An older daemon says nothing of channels.
std::optional<ChannelStatus> read_channel(FieldReader& description) {
    const Json* found = description.find("channel");
    if (found == nullptr) return std::nullopt;
    FieldReader fields(*found, description.path("channel"), UnknownFields::ignore);
    ChannelStatus channel;
    channel.mode = fields.text("mode");
    channel.state = fields.text("state");
    channel.heartbeat_ms = optional_integer(fields, "heartbeat_ms");
    channel.subscriptions = static_cast<std::uint32_t>(fields.counter("subscriptions", kMaxUint32));
    channel.requests = static_cast<std::uint32_t>(fields.counter("requests", kMaxUint32));
    for (const auto& [name, count] : kChannelCounts) channel.*count = fields.counter(name);
    return channel;
}

/// Reads each element of the array `name` by `read(element, where)`.
template <class Element, class Read>
std::vector<Element> read_array(FieldReader& fields, std::string_view name, Read read) {
    std::vector<Element> elements;
    for (const Json& element : fields.array(name, kAnswerBounds.values)) {
        elements.push_back(read(element, fields.path(name, elements.size())));
    }
    return elements;
}

/// An older daemon says nothing of clusters.
std::optional<ClusterStatus> read_cluster(FieldReader& description) {
    const Json* found = description.find("cluster");
    if (found == nullptr) return std::nullopt;
    FieldReader fields(*found, description.path("cluster"), UnknownFields::ignore);
    ClusterStatus cluster;
    cluster.state = fields.text("state");
    cluster.drains = fields.boolean("drains");
    cluster.unanswered = static_cast<std::uint32_t>(fields.counter("unanswered", kMaxUint32));
    cluster.addresses = read_array<ClusterAddress>(
        fields, "addresses", [](const Json& each, const std::string& at) {
            FieldReader address(each, at, UnknownFields::ignore);
            return ClusterAddress{address.text("address"), address.text("schedule"),
                                  address.counter("connections")};
        });
    cluster.problem = fields.optional_text("problem");
    cluster.warning = fields.optional_text("warning");
    return cluster;
}

Description read_description(const Json& value, const std::string& where) {
    Description result;
    result.status = read_worker(value, where);
    FieldReader fields(value, where, UnknownFields::ignore);
    result.source = fields.text("source");
    result.run = fields.counter("run");
    result.waits_for = fields.optional_text("waits_for");
    result.reload_failure = fields.optional_text("reload_failure");
    result.liveness_failure = fields.optional_text("liveness_failure");
    // A supervisor of an older version does not say it.
    if (fields.find("refused_notifications") != nullptr) {
        result.refused_notifications = fields.counter("refused_notifications");
    }
    if (fields.find("stored_descriptors") != nullptr) {
        result.stored_descriptors = fields.texts("stored_descriptors", kAnswerBounds.values);
    }
    result.deadline = fields.optional_text("deadline");
    result.deadline_ms = optional_integer(fields, "deadline_ms");
    result.sockets = read_sockets(fields);
    result.channel = read_channel(fields);
    result.cluster = read_cluster(fields);
    result.spec = read_array<SpecKey>(fields, "spec", [](const Json& each, const std::string& at) {
        FieldReader key(each, at, UnknownFields::ignore);
        return SpecKey{key.text("key"), key.text("value"), key.text("origin")};
    });
    result.is_environment_read = fields.boolean("environment_read");
    result.environment_problem = fields.optional_text("environment_problem");
    result.environment =
        read_array<Variable>(fields, "environment", [](const Json& each, const std::string& at) {
            FieldReader variable(each, at, UnknownFields::ignore);
            return Variable{variable.text("name"), variable.optional_text("next"),
                            variable.optional_text("running")};
        });
    result.descriptor_count =
        static_cast<std::uint32_t>(fields.counter("descriptor_count", kMaxUint32));
    result.descriptors = read_array<OpenDescriptor>(
        fields, "descriptors", [](const Json& each, const std::string& at) {
            FieldReader open(each, at, UnknownFields::ignore);
            return OpenDescriptor{static_cast<std::int32_t>(open.integer("number", 0, kMaxInt32)),
                                  open.text("target")};
        });
    result.exits = read_array<PastExit>(fields, "exits", read_past_exit);
    return result;
}

DescribeAnswer read_describe_answer(FieldReader& fields) {
    return {read_array<Description>(fields, "instances", read_description)};
}

}  // namespace

Json answer_fields(const DescribeAnswer& answer) {
    return Json{{"instances", array_of(answer.instances, description_fields)}};
}

tl::expected<DescribeAnswer, RpcError> parse_description(std::string_view line) {
    return parse_answer(line, read_describe_answer);
}

}  // namespace cluster::ctl
