"""The process that receives requests from Node. It turns messages into calls and answers."""
