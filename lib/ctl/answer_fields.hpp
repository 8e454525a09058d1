// Answers as fields of a JSON document: shared by the answers on the wire and by clusterctl's
// documents. Private to this room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/field_reader.hpp"
#include "ctl/protocol.hpp"

namespace cluster::ctl {

[[nodiscard]] Json answer_fields(const VersionAnswer& answer);
[[nodiscard]] Json answer_fields(const StatusAnswer& answer);
[[nodiscard]] Json answer_fields(const OperationAnswer& answer);
[[nodiscard]] Json answer_fields(const DescribeAnswer& answer);
[[nodiscard]] Json answer_fields(const RotateAnswer& answer);
[[nodiscard]] Json answer_fields(const StoresAnswer& answer);
[[nodiscard]] Json answer_fields(const SendAnswer& answer);
[[nodiscard]] Json answer_fields(const FollowAnswer& answer);

/// Answers come from our own daemon: these bounds only keep a broken one from taking the client's
/// memory. 8192 instances of about 30 values each, several times over.
inline constexpr ParseBounds kAnswerBounds{
    .depth = 32, .values = std::size_t{1} << 22U, .keys_per_object = 256};

// --- parts of answers that stand in several of them ---

/// JSON names of the fields of a row of `status`, in their order.
[[nodiscard]] const std::vector<std::string_view>& worker_field_names();
[[nodiscard]] Json worker_fields(const WorkerStatus& worker);
[[nodiscard]] WorkerStatus read_worker(const Json& value, const std::string& where);
/// `sockets` of a status and of a description.
[[nodiscard]] Json sockets_fields(const std::vector<SocketStatus>& sockets);
[[nodiscard]] std::vector<SocketStatus> read_sockets(FieldReader& fields);
[[nodiscard]] Json last_exit_fields(const LastExit& exit);
[[nodiscard]] LastExit read_last_exit(const Json& value, const std::string& where);
[[nodiscard]] std::optional<std::int64_t> optional_integer(FieldReader& fields,
                                                           std::string_view name);
[[nodiscard]] RpcError read_error(const Json& value);

/// The door of all answers: one that makes no sense is an error like one that the daemon reports.
template <class Answer>
tl::expected<Answer, RpcError> parse_answer(std::string_view line, Answer (*read)(FieldReader&)) {
    try {
        const Json document = parse_bounded(line, kAnswerBounds);
        FieldReader fields(document, "", UnknownFields::ignore);
        if (const Json* error = fields.find("error")) {
            return tl::unexpected<RpcError>(read_error(*error));
        }
        FieldReader result(fields.require("result"), "result", UnknownFields::ignore);
        return read(result);
    } catch (const std::exception& error) {
        return tl::unexpected<RpcError>(
            RpcError{ErrorCode::internal_error,
                     std::string("the daemon's answer is not understood: ") + error.what(),
                     {}});
    }
}

}  // namespace cluster::ctl
