#include "ctl/documents.hpp"

#include <utility>

#include "ctl/answer_fields.hpp"
#include "ctl/field_reader.hpp"
#include "ctl/version.hpp"

namespace cluster::ctl {
namespace {

/// Programs get "file:line:column: error: …"; the line and the caret below it are for people.
std::vector<std::string> first_lines(const std::vector<std::string>& diagnostics) {
    std::vector<std::string> lines;
    for (const std::string& text : diagnostics) lines.push_back(text.substr(0, text.find('\n')));
    return lines;
}

}  // namespace

std::string status_document(const StatusAnswer& answer) {
    return dump_pretty(answer_fields(answer));
}

std::string operation_document(const OperationAnswer& operation,
                               const std::optional<StatusAnswer>& status) {
    Json document = answer_fields(operation);
    Json after = status ? answer_fields(*status) : Json{{"daemon", nullptr}, {"workers", nullptr}};
    for (const char* member : {"daemon", "workers"}) document[member] = std::move(after[member]);
    return dump_pretty(document);
}

std::string description_document(const DescribeAnswer& answer) {
    return dump_pretty(answer_fields(answer));
}

std::string environment_document(const DescribeAnswer& answer) {
    const Json document = answer_fields(answer);
    Json instances = Json::array();
    for (const Json& each : document.get("instances").elements()) {
        Json picked = Json::object();
        for (const char* member :
             {"id", "environment_read", "environment_problem", "environment"}) {
            picked[member] = each.get(member);
        }
        instances.push_back(std::move(picked));
    }
    return dump_pretty(Json{{"instances", std::move(instances)}});
}

std::string pid_document(const StatusAnswer& answer) {
    Json instances = Json::array();
    for (const WorkerStatus& worker : answer.workers) {
        instances.push_back(Json{{"id", worker.id}, {"pid", worker.pid}});
    }
    return dump_pretty(Json{{"instances", std::move(instances)}});
}

std::string startup_document(std::string_view unit) {
    return dump_pretty(Json{{"unit", unit}});
}

std::string version_document(const std::optional<VersionAnswer>& daemon) {
    return dump_pretty(Json{{"client", Json{{"version", version()}}},
                            {"daemon", daemon ? answer_fields(*daemon) : Json()}});
}

std::string error_document(std::string_view code, std::string_view message,
                           const std::vector<std::string>& diagnostics) {
    return dump_pretty(Json{
        {"error",
         Json{{"code", code}, {"message", message}, {"diagnostics", first_lines(diagnostics)}}}});
}

std::string validation_document(const std::vector<Validation>& files) {
    bool are_all_good = true;
    Json list = Json::array();
    for (const Validation& file : files) {
        const bool is_good = file.diagnostics.empty();
        are_all_good = are_all_good && is_good;
        list.push_back(Json{{"file", file.file},
                            {"ok", is_good},
                            {"workers", file.workers},
                            {"instances", file.instances},
                            {"diagnostics", first_lines(file.diagnostics)}});
    }
    return dump_pretty(Json{{"ok", are_all_good}, {"files", std::move(list)}});
}

std::string log_line_document(std::string_view id, std::string_view stream, std::string_view time,
                              std::string_view line) {
    return dump_line(Json{{"id", id},
                          {"stream", stream},
                          {"time", time.empty() ? Json() : Json(time)},
                          {"line", line}}) +
           "\n";
}

const char* error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::parse_error:
            return "parse_error";
        case ErrorCode::invalid_request:
            return "invalid_request";
        case ErrorCode::method_not_found:
            return "method_not_found";
        case ErrorCode::invalid_params:
            return "invalid_params";
        case ErrorCode::internal_error:
            return "internal_error";
        case ErrorCode::no_match:
            return "no_match";
        case ErrorCode::bad_config:
            return "bad_config";
        case ErrorCode::refused:
            return "refused";
        case ErrorCode::name_taken:
            return "name_taken";
        case ErrorCode::unknown_operation:
            return "unknown_operation";
        case ErrorCode::shutting_down:
            return "shutting_down";
    }
    return "unknown";
}

}  // namespace cluster::ctl
