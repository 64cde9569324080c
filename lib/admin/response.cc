#include "admin/response.hh"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace sluice::admin {

Response Response::json(const boost::json::value& value, int status) {
    Response response;
    response.status = status;
    response.body = boost::json::serialize(value);
    response.body += '\n';
    return response;
}

Response Response::text(std::string_view content_type, std::string body) {
    Response response;
    response.content_type = content_type;
    response.body = std::move(body);
    return response;
}

Response Response::error(int status, std::string_view message, std::string_view hint, std::string_view path) {
    boost::json::object about;
    about["message"] = message;
    if (!hint.empty())
        about["hint"] = hint;
    if (!path.empty())
        about["path"] = path;
    boost::json::object whole;
    whole["error"] = std::move(about);
    return json(whole, status);
}

Response Response::error(int status, const Error& error, std::string_view path) {
    return Response::error(status, error.message, error.hint, path);
}

Response Response::stream(std::string_view content_type, Producer producer) {
    Response response;
    response.content_type = content_type;
    response.producer = std::move(producer);
    return response;
}

Response Response::subscribe(std::string_view content_type, std::shared_ptr<Feed> feed) {
    Response response;
    response.content_type = content_type;
    response.feed = std::move(feed);
    return response;
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 417:
            return "Expectation Failed";
        case 422:
            return "Unprocessable Content";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return status < 400 ? "OK" : "Error";
    }
}

}  // namespace sluice::admin
