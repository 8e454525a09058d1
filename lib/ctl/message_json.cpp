// messages.*: their answers, rendered by the supervisor, parsed by clusterctl.
#include <limits>
#include <utility>

#include "ctl/answer_fields.hpp"

namespace cluster::ctl {
namespace {

constexpr std::uint64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();

SendAnswer read_send_answer(FieldReader& fields) {
    SendAnswer answer;
    answer.delivered = static_cast<std::uint32_t>(fields.counter("delivered", kMaxUint32));
    answer.from = fields.optional_text("from");
    answer.reply = fields.optional_text("reply");
    answer.error = fields.optional_text("error");
    return answer;
}

FollowAnswer read_follow_answer(FieldReader& fields) {
    FollowAnswer answer;
    answer.last = fields.counter("last");
    answer.missed = fields.counter("missed");
    for (const Json& element : fields.array("messages", kAnswerBounds.values)) {
        FieldReader one(element, fields.path("messages", answer.messages.size()),
                        UnknownFields::ignore);
        SeenMessage message;
        message.at_ms = one.integer("at_ms", 0, std::numeric_limits<std::int64_t>::max());
        message.from = one.optional_text("from");
        message.topic = one.optional_text("topic");
        message.message = one.text("message");
        answer.messages.push_back(std::move(message));
    }
    return answer;
}

}  // namespace

Json answer_fields(const SendAnswer& answer) {
    return Json{{"delivered", answer.delivered},
                {"from", answer.from},
                {"reply", answer.reply},
                {"error", answer.error}};
}

Json answer_fields(const FollowAnswer& answer) {
    Json messages = Json::array();
    for (const SeenMessage& message : answer.messages) {
        messages.push_back(Json{{"at_ms", message.at_ms},
                                {"from", message.from},
                                {"topic", message.topic},
                                {"message", message.message}});
    }
    return Json{
        {"last", answer.last}, {"missed", answer.missed}, {"messages", std::move(messages)}};
}

tl::expected<SendAnswer, RpcError> parse_sent(std::string_view line) {
    return parse_answer(line, read_send_answer);
}

tl::expected<FollowAnswer, RpcError> parse_followed(std::string_view line) {
    return parse_answer(line, read_follow_answer);
}

}  // namespace cluster::ctl
