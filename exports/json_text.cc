#include "exports/json_text.h"

#include "nlohmann/json.hpp"

namespace torii::exports {

std::string IndentedJson(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace torii::exports
