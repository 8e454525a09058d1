// Requests: from a stranger's line to a Method, and back.
//
// One row of kMethods per method; a reader per row. A new method is a struct in protocol.hpp, a row
// and a reader here, a `params_of` overload, and its section in CONTROL.md.
#include <algorithm>
#include <array>
#include <utility>

#include "core/selector.hpp"
#include "ctl/answer_fields.hpp"
#include "ctl/field_reader.hpp"
#include "ctl/nearest.hpp"
#include "ctl/protocol.hpp"
#include "ctl/spec_fields.hpp"

namespace cluster::ctl {
namespace {

/// Ids are echoed in the answer; a longer one serves nobody.
constexpr std::size_t kMaxIdBytes = 256;
constexpr std::size_t kMaxSelectors = 4096;
constexpr std::size_t kMaxSelectorBytes = 256;
constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::uint32_t kMaxWaitMs = 60'000;
constexpr int kMaxSignal = 64;

/// The refusal of a line, thrown to the door of parse_request.
struct Refusal {
    ErrorCode code;
    std::string message;
};

// --- one reader per method
// --------------------------------------------------------------------------------------------

std::vector<std::string> read_selectors(FieldReader& fields, bool may_be_absent) {
    if (may_be_absent && fields.find("selectors") == nullptr) return {};
    std::vector<std::string> selectors = fields.texts("selectors", kMaxSelectors);
    for (std::size_t i = 0; i < selectors.size(); ++i) {
        const std::string& selector = selectors[i];
        if (selector.empty() || selector.size() > kMaxSelectorBytes ||
            selector.find('\0') != std::string::npos) {
            throw FieldError(fields.path("selectors", i) + ": expected a selector of 1 to " +
                             std::to_string(kMaxSelectorBytes) + " bytes");
        }
    }
    if (selectors.empty() && !may_be_absent) {
        throw FieldError(fields.path("selectors") + R"(: is empty; ["all"] means all workers)");
    }
    return selectors;
}

Method read_version(FieldReader& /*fields*/) {
    return request::Version{};
}
Method read_shutdown(FieldReader& /*fields*/) {
    return request::Shutdown{};
}
Method read_upgrade(FieldReader& fields) {
    return request::Upgrade{fields.text("program")};
}
Method read_status(FieldReader& fields) {
    request::Status status{read_selectors(fields, true)};
    if (fields.find("fields") == nullptr) return status;
    const auto& known = worker_field_names();
    status.fields = fields.texts("fields", known.size());
    for (std::size_t i = 0; i < status.fields.size(); ++i) {
        const std::string& name = status.fields[i];
        if (std::find(known.begin(), known.end(), name) != known.end()) continue;
        throw FieldError(fields.path("fields", i) + ": a worker's row has no field \"" +
                         clip(name) + "\"" + suggestion(name, known));
    }
    return status;
}
Method read_start(FieldReader& fields) {
    return request::Start{read_selectors(fields, false)};
}
Method read_stop(FieldReader& fields) {
    return request::Stop{read_selectors(fields, false)};
}
Method read_restart(FieldReader& fields) {
    return request::Restart{read_selectors(fields, false)};
}
Method read_reload(FieldReader& fields) {
    request::Reload reload{read_selectors(fields, false)};
    if (fields.find("force") != nullptr) reload.force = fields.boolean("force");
    return reload;
}
Method read_delete(FieldReader& fields) {
    return request::Delete{read_selectors(fields, false)};
}

Method read_load(FieldReader& fields) {
    request::Load load;
    load.path = fields.exact("path");
    if (load.path.empty() || load.path.front() != '/' || load.path.size() > kMaxPathBytes) {
        throw FieldError(fields.path("path") + ": expected an absolute path");
    }
    load.text = fields.text("text");
    load.base_path = fields.exact("base_path");
    if (fields.find("after_restore") != nullptr) {
        load.after_restore = fields.boolean("after_restore");
    }
    return load;
}

Method read_apply(FieldReader& fields) {
    request::Load load = std::get<request::Load>(read_load(fields));
    request::Apply apply{std::move(load.path), std::move(load.text), std::move(load.base_path)};
    if (fields.find("dry_run") != nullptr) apply.dry_run = fields.boolean("dry_run");
    return apply;
}

Method read_signal(FieldReader& fields) {
    request::Signal signal;
    signal.signal = static_cast<int>(fields.integer("signal", 1, kMaxSignal));
    signal.selectors = read_selectors(fields, false);
    return signal;
}

Method read_reset(FieldReader& fields) {
    return request::Reset{read_selectors(fields, false)};
}

Method read_describe(FieldReader& fields) {
    return request::Describe{read_selectors(fields, false)};
}

Method read_add(FieldReader& fields) {
    return request::Add{read_spec_fields(fields.require("spec"), fields.path("spec"))};
}

Method read_scale(FieldReader& fields) {
    request::Scale scale;
    scale.name = fields.text("name");
    if (!core::is_valid_worker_name(scale.name)) {
        throw FieldError(fields.path("name") + ": \"" + clip(scale.name) +
                         "\" is not a worker's name");
    }
    constexpr std::int64_t kMost = core::kMaxInstancesPerWorker;
    if (fields.find("instances") != nullptr) {
        scale.instances = static_cast<std::uint32_t>(fields.integer("instances", 0, kMost));
    }
    if (fields.find("delta") != nullptr) {
        scale.delta = static_cast<std::int32_t>(fields.integer("delta", -kMost, kMost));
    }
    if (scale.instances.has_value() == scale.delta.has_value()) {
        throw FieldError("params: expected exactly one of \"instances\" and \"delta\"");
    }
    return scale;
}

Method read_wait(FieldReader& fields) {
    request::Wait wait;
    wait.operation = fields.counter("operation");
    if (fields.find("timeout_ms") != nullptr) {
        wait.timeout_ms = static_cast<std::uint32_t>(fields.integer("timeout_ms", 0, kMaxWaitMs));
    }
    return wait;
}

Method read_rotate(FieldReader& fields) {
    return request::Rotate{read_selectors(fields, true)};
}

Method read_list_stores(FieldReader& /*fields*/) {
    return request::ListStores{};
}

Method read_open_store(FieldReader& fields) {
    request::OpenStore open{fields.text("name")};
    if (!is_store_name(open.name)) {
        throw FieldError(fields.path("name") + ": \"" + clip(open.name) +
                         "\" is not a store's name");
    }
    return open;
}

Method read_send(FieldReader& fields) {
    constexpr std::int64_t kMaxReplyMs = 600'000;
    request::Send send;
    send.to = fields.text("to");
    send.message = fields.text("message");
    if (fields.find("wait_ms") != nullptr) {
        send.wait_ms = static_cast<std::uint32_t>(fields.integer("wait_ms", 1, kMaxReplyMs));
    }
    return send;
}

Method read_publish(FieldReader& fields) {
    request::Publish publish;
    publish.topic = fields.text("topic");
    publish.message = fields.text("message");
    return publish;
}

Method read_follow(FieldReader& fields) {
    request::Follow follow;
    if (fields.find("after") != nullptr) follow.after = fields.counter("after");
    follow.topic = fields.optional_text("topic").value_or("");
    if (fields.find("wait_ms") != nullptr) {
        follow.wait_ms = static_cast<std::uint32_t>(fields.integer("wait_ms", 0, kMaxWaitMs));
    }
    return follow;
}

struct MethodRow {
    std::string_view name;
    Method (*read)(FieldReader& params);
};

constexpr std::array kMethods = {
    MethodRow{"daemon.version", read_version},   MethodRow{"daemon.shutdown", read_shutdown},
    MethodRow{"daemon.upgrade", read_upgrade},
    MethodRow{"workers.status", read_status},    MethodRow{"workers.start", read_start},
    MethodRow{"workers.stop", read_stop},        MethodRow{"workers.restart", read_restart},
    MethodRow{"workers.delete", read_delete},    MethodRow{"workers.load", read_load},
    MethodRow{"workers.add", read_add},          MethodRow{"workers.scale", read_scale},
    MethodRow{"workers.apply", read_apply},      MethodRow{"workers.signal", read_signal},
    MethodRow{"workers.reset", read_reset},      MethodRow{"workers.describe", read_describe},
    MethodRow{"operation.wait", read_wait},      MethodRow{"logs.rotate", read_rotate},
    MethodRow{"workers.reload", read_reload},    MethodRow{"store.list", read_list_stores},
    MethodRow{"store.open", read_open_store},    MethodRow{"messages.send", read_send},
    MethodRow{"messages.publish", read_publish}, MethodRow{"messages.follow", read_follow},
};

const MethodRow& find_method(const std::string& name) {
    std::array<std::string_view, kMethods.size()> names;
    for (std::size_t i = 0; i < kMethods.size(); ++i) {
        if (kMethods[i].name == name) return kMethods[i];
        names[i] = kMethods[i].name;
    }
    throw Refusal{ErrorCode::method_not_found,
                  "no method \"" + clip(name) + "\"" + suggestion(name, names)};
}

// --- the envelope
// -----------------------------------------------------------------------------------------------------

/// The id as JSON text; throws for one that cannot be echoed.
std::string read_id(const Json& document) {
    const Json* const id = document.find("id");
    if (id == nullptr) {
        throw Refusal{ErrorCode::invalid_request, "id: is missing (notifications are not served)"};
    }
    if (!id->is_null() && !id->is_string() && !id->is_integer()) {
        throw Refusal{ErrorCode::invalid_request, "id: expected a string, an integer or null"};
    }
    std::string text = dump_line(*id);
    if (text.size() > kMaxIdBytes) {
        throw Refusal{ErrorCode::invalid_request,
                      "id: longer than " + std::to_string(kMaxIdBytes) + " bytes"};
    }
    return text;
}

/// Fills `id` as soon as it is known, so that a refusal after it can be answered under it.
Method read_request(std::string_view line, std::string& id) {
    if (line.size() > kMaxLineBytes) {
        throw Refusal{ErrorCode::invalid_request,
                      "longer than " + std::to_string(kMaxLineBytes) + " bytes"};
    }
    Json document;
    try {
        document = parse_bounded(line, ParseBounds{});
    } catch (const FieldError& error) {
        throw Refusal{ErrorCode::parse_error, error.what()};
    }
    if (document.is_array()) {
        throw Refusal{ErrorCode::invalid_request, "batches are not served: one object a line"};
    }
    if (!document.is_object()) {
        throw Refusal{ErrorCode::invalid_request, "expected one object a line"};
    }
    id = read_id(document);

    std::string name;
    const Json none = Json::object();
    const Json* params = &none;
    try {
        FieldReader envelope(document, "");
        (void)envelope.find("id");
        if (envelope.text("jsonrpc") != "2.0") throw FieldError("jsonrpc: expected \"2.0\"");
        name = envelope.text("method");
        if (const Json* const given = document.find("params")) params = given;
        (void)envelope.find("params");
        envelope.finish();
    } catch (const FieldError& error) {
        throw Refusal{ErrorCode::invalid_request, error.what()};
    }

    const MethodRow& row = find_method(name);
    try {
        FieldReader fields(*params, "params");
        Method method = row.read(fields);
        fields.finish();
        return method;
    } catch (const FieldError& error) {
        throw Refusal{ErrorCode::invalid_params, error.what()};
    }
}

// --- rendering
// --------------------------------------------------------------------------------------------------------

struct Rendered {
    std::string_view method;
    Json params;
};

Json selectors_of(const std::vector<std::string>& selectors) {
    return Json{{"selectors", selectors}};
}

struct Renderer {
    Rendered operator()(const request::Version&) const {
        return {"daemon.version", Json::object()};
    }
    Rendered operator()(const request::Shutdown&) const {
        return {"daemon.shutdown", Json::object()};
    }
    Rendered operator()(const request::Upgrade& r) const {
        return {"daemon.upgrade", Json{{"program", r.program}}};
    }
    Rendered operator()(const request::Status& r) const {
        Json params = selectors_of(r.selectors);
        if (!r.fields.empty()) params["fields"] = r.fields;
        return {"workers.status", std::move(params)};
    }
    Rendered operator()(const request::Start& r) const {
        return {"workers.start", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::Stop& r) const {
        return {"workers.stop", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::Restart& r) const {
        return {"workers.restart", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::Reload& r) const {
        Json params = selectors_of(r.selectors);
        if (r.force) params["force"] = true;
        return {"workers.reload", std::move(params)};
    }
    Rendered operator()(const request::Delete& r) const {
        return {"workers.delete", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::Load& r) const {
        Json fields{
            {"path", exact_text(r.path)}, {"text", r.text}, {"base_path", exact_text(r.base_path)}};
        if (r.after_restore) fields["after_restore"] = true;
        return {"workers.load", std::move(fields)};
    }
    Rendered operator()(const request::Apply& r) const {
        return {"workers.apply", Json{{"path", exact_text(r.path)},
                                      {"text", r.text},
                                      {"base_path", exact_text(r.base_path)},
                                      {"dry_run", r.dry_run}}};
    }
    Rendered operator()(const request::Signal& r) const {
        return {"workers.signal", Json{{"signal", r.signal}, {"selectors", r.selectors}}};
    }
    Rendered operator()(const request::Reset& r) const {
        return {"workers.reset", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::Describe& r) const {
        return {"workers.describe", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::Add& r) const {
        return {"workers.add", Json{{"spec", spec_fields(r.spec)}}};
    }
    Rendered operator()(const request::Scale& r) const {
        Json params{{"name", r.name}};
        if (r.instances) params["instances"] = *r.instances;
        if (r.delta) params["delta"] = *r.delta;
        return {"workers.scale", std::move(params)};
    }
    Rendered operator()(const request::Send& r) const {
        Json params{{"to", r.to}, {"message", r.message}};
        if (r.wait_ms) params["wait_ms"] = *r.wait_ms;
        return {"messages.send", std::move(params)};
    }
    Rendered operator()(const request::Publish& r) const {
        return {"messages.publish", Json{{"topic", r.topic}, {"message", r.message}}};
    }
    Rendered operator()(const request::Follow& r) const {
        Json params{{"topic", r.topic}, {"wait_ms", r.wait_ms}};
        if (r.after) params["after"] = *r.after;
        return {"messages.follow", std::move(params)};
    }
    Rendered operator()(const request::Rotate& r) const {
        return {"logs.rotate", selectors_of(r.selectors)};
    }
    Rendered operator()(const request::ListStores&) const { return {"store.list", Json::object()}; }
    Rendered operator()(const request::OpenStore& r) const {
        return {"store.open", Json{{"name", r.name}}};
    }
    Rendered operator()(const request::Wait& r) const {
        return {"operation.wait", Json{{"operation", r.operation}, {"timeout_ms", r.timeout_ms}}};
    }
};

}  // namespace

tl::expected<Request, BadRequest> parse_request(std::string_view line) {
    BadRequest bad;
    try {
        std::string id = "null";
        try {
            Method method = read_request(line, id);
            return Request{RequestId{id}, std::move(method)};
        } catch (const Refusal& refusal) {
            bad = BadRequest{RequestId{id}, RpcError{refusal.code, refusal.message, {}}};
        }
    } catch (const std::exception& error) {
        // A case that nobody thought of costs its sender an answer, and nobody else anything.
        bad.error = RpcError{ErrorCode::internal_error, error.what(), {}};
    }
    return tl::unexpected<BadRequest>(std::move(bad));
}

std::string render_request(const Request& request) {
    Rendered rendered = std::visit(Renderer{}, request.method);
    // The id is JSON text already, so the envelope is put together by hand around it.
    return R"({"jsonrpc":"2.0","id":)" + request.id.json + R"(,"method":")" +
           std::string(rendered.method) + R"(","params":)" + dump_line(rendered.params) + "}\n";
}

}  // namespace cluster::ctl
