package dev.fathom.error;

/**
 * Stable numbers of every error that a user can meet.
 *
 * <p>The number never changes once released and never gets another meaning. Blocks: 1xxx checkpoint
 * files, 2xxx configuration and architecture, 3xxx text, 4xxx backends, 45xx memory, 5xxx requests,
 * 6xxx generation.
 */
public enum ErrorCode {
  /** A file or folder of the checkpoint is not there. */
  CHECKPOINT_NOT_FOUND(1000, "Checkpoint not found"),
  /** A file was given where the folder of a checkpoint is expected. */
  CHECKPOINT_IS_FILE(1001, "Checkpoint is a file"),
  /** The folder of the checkpoint holds nothing. */
  CHECKPOINT_EMPTY(1002, "Checkpoint folder empty"),
  /** The folder holds files, but no weights. */
  CHECKPOINT_WITHOUT_WEIGHTS(1003, "Checkpoint without weights"),
  /** The weights are pickled PyTorch files, which this library never reads. */
  CHECKPOINT_PICKLED(1004, "Pickled weights"),
  /** The weights are a GGUF file. */
  CHECKPOINT_GGUF(1005, "GGUF weights"),
  /** A file is a Git LFS pointer instead of what it points to. */
  CHECKPOINT_LFS_POINTER(1006, "Git LFS pointer"),
  /** The process may not read a file or folder. */
  CHECKPOINT_ACCESS_DENIED(1007, "No permission to read"),
  /** The operating system failed to read a file. */
  CHECKPOINT_IO(1008, "Reading failed"),
  /** The folder holds no config.json. */
  CONFIG_NOT_FOUND(1009, "config.json not found"),
  /** The folder holds several shards, but no index. */
  INDEX_NOT_FOUND(1010, "Index not found"),
  /** A small file of the checkpoint is larger than anything plausible. */
  CHECKPOINT_FILE_TOO_LARGE(1011, "File too large"),
  /** A file of the folder leads out of the folder by a symbolic link. */
  CHECKPOINT_LINK_OUTSIDE(1012, "Link leaves the folder"),

  /** A safetensors file is shorter than its length field. */
  SAFETENSORS_TOO_SHORT(1100, "Safetensors file too short"),
  /** A safetensors header claims to be larger than the format allows. */
  SAFETENSORS_HEADER_TOO_LARGE(1101, "Safetensors header too large"),
  /** A safetensors header claims to be larger than its file. */
  SAFETENSORS_HEADER_TRUNCATED(1102, "Safetensors header truncated"),
  /** A safetensors header is not JSON. */
  SAFETENSORS_HEADER_JSON(1103, "Safetensors header not JSON"),
  /** A safetensors header has a part of a wrong kind, an unknown part or a missing one. */
  SAFETENSORS_HEADER_FIELD(1104, "Safetensors header field wrong"),
  /** A safetensors header names something twice. */
  SAFETENSORS_DUPLICATE(1105, "Duplicate name in a safetensors header"),
  /** The metadata of a safetensors header are not a map of strings. */
  SAFETENSORS_METADATA(1106, "Safetensors metadata wrong"),
  /** A tensor has a name that is not allowed. */
  SAFETENSORS_NAME(1107, "Tensor name not allowed"),
  /** A tensor has an unknown data type. */
  SAFETENSORS_DTYPE(1108, "Unknown tensor data type"),
  /** A tensor has a shape that is not allowed. */
  SAFETENSORS_SHAPE(1109, "Tensor shape not allowed"),
  /** The offsets of a tensor are not allowed or do not fit its shape and data type. */
  SAFETENSORS_OFFSETS(1110, "Tensor offsets wrong"),
  /** The tensors of a safetensors file overlap, leave a hole or end before the file does. */
  SAFETENSORS_TILING(1111, "Tensors do not cover the file"),
  /** A safetensors file ends before its last tensor does. */
  SAFETENSORS_TRUNCATED(1112, "Safetensors file truncated"),
  /** A safetensors header lists more tensors than allowed. */
  SAFETENSORS_TOO_MANY_TENSORS(1113, "Too many tensors"),
  /** A file is named as a safetensors file, but holds text, such as a server's error page. */
  SAFETENSORS_IS_TEXT(1114, "Text instead of tensors"),

  /** The index of a checkpoint is not what it should be. */
  INDEX_INVALID(1200, "Index not usable"),
  /** The index names a shard by something else than a plain file name. */
  INDEX_SHARD_NAME(1201, "Shard name not allowed"),
  /** A shard that the index names is not there. */
  INDEX_SHARD_MISSING(1202, "Shard missing"),
  /** A shard is there under a name that differs in case. */
  INDEX_SHARD_CASE(1203, "Shard name differs in case"),
  /** A tensor is in another shard than the index says. */
  INDEX_TENSOR_WRONG_SHARD(1204, "Tensor in the wrong shard"),
  /** A tensor is in two shards. */
  INDEX_TENSOR_TWICE(1205, "Tensor in two shards"),
  /** A tensor of the index is in no shard. */
  INDEX_TENSOR_MISSING(1206, "Tensor of the index missing"),
  /** A shard holds a tensor that the index does not list. */
  INDEX_TENSOR_UNLISTED(1207, "Tensor not in the index"),
  /** The index promises more bytes than the shards hold. */
  INDEX_TOTAL_SIZE(1208, "Total size of the index too large"),

  /** A file ended while a tensor was read. */
  READ_TRUNCATED(1300, "File ended while reading"),
  /** A file changed after its header was read. */
  READ_FILE_CHANGED(1301, "File changed while loading"),
  /** A file does not have the hash that checksums.sha256 gives. */
  CHECKSUM_MISMATCH(1302, "Checksum mismatch"),
  /** The file checksums.sha256 cannot be understood. */
  CHECKSUMS_INVALID(1303, "Checksums not usable"),

  /** A checkpoint file could not be written. */
  WRITE_FAILED(1400, "Writing failed"),
  /** The disk has less room than a checkpoint file needs. */
  WRITE_NO_SPACE(1401, "Not enough disk space"),
  /** The folder that a checkpoint is to be written to already holds weights. */
  WRITE_FOLDER_IN_USE(1402, "Folder already holds weights"),

  /** The architecture named by config.json is not one this library knows. */
  UNKNOWN_ARCHITECTURE(2000, "Unknown architecture"),
  /** A tensor that the architecture needs is not in the checkpoint. */
  TENSOR_MISSING(2001, "Tensor missing"),
  /** A tensor's shape or data type is not what the configuration says. */
  TENSOR_MISMATCH(2002, "Tensor does not match the configuration"),
  /** A configuration value breaks a rule of the architecture. */
  CONFIG_RULE(2003, "Configuration value not allowed"),
  /** A configuration file is not a JSON object. */
  CONFIG_JSON(2010, "Configuration not JSON"),
  /** A key that is needed is not in a configuration file. */
  CONFIG_KEY_MISSING(2011, "Configuration key missing"),
  /** A value of a configuration file has the wrong kind or is out of its range. */
  CONFIG_VALUE(2012, "Configuration value out of range"),
  /** The weights are quantized in a way that this library does not read. */
  QUANTIZATION_UNSUPPORTED(2013, "Quantization not supported"),

  /** An adapter uses something that this library does not implement. */
  ADAPTER_UNSUPPORTED(2100, "Adapter not supported"),
  /** An adapter's files contradict each other or the model. */
  ADAPTER_INVALID(2101, "Adapter not usable"),

  /** A tokenizer could not be read. */
  TOKENIZER_INVALID(3000, "Tokenizer not usable"),
  /** A tokenizer is of a kind that this library does not implement. */
  TOKENIZER_UNSUPPORTED(3001, "Tokenizer not supported"),
  /** A tokenizer's file is not there or cannot be read. */
  TOKENIZER_NOT_FOUND(3002, "Tokenizer not found"),
  /** No prompt encoder fits the checkpoint, or none has the name that was asked for. */
  PROMPT_FAMILY_UNKNOWN(3003, "Unknown prompt family"),
  /** The prompt family needs a token that the tokenizer lacks. */
  CONTROL_TOKEN_MISSING(3004, "Control token missing"),
  /** A conversation or a tool cannot be put into a prompt. */
  CONVERSATION_INVALID(3005, "Conversation not usable"),

  /** The backend that was asked for cannot run here. */
  BACKEND_UNAVAILABLE(4000, "Backend unavailable"),
  /** No backend has the name that was asked for. */
  BACKEND_UNKNOWN(4001, "Unknown backend"),
  /** The program has an operation or format that the backend does not support. */
  BACKEND_UNSUPPORTED(4002, "Not supported by the backend"),
  /** The backend failed in a way that it cannot recover from. */
  BACKEND_BROKEN(4003, "Backend broken"),

  /** What the model needs is more than there is. */
  MEMORY_INSUFFICIENT(4500, "Not enough memory"),

  /** A value of a request is out of its range. */
  REQUEST_INVALID(5000, "Invalid request"),
  /** The prompt does not fit the context. */
  PROMPT_TOO_LONG(5001, "Prompt too long"),
  /** A schema, regular expression or grammar of a response format is malformed. */
  GRAMMAR_INVALID(5002, "Response format malformed"),
  /** A response format uses what cannot be turned into an automaton, or matches nothing. */
  GRAMMAR_UNSUPPORTED(5003, "Response format not supported"),
  /** Compiling a response format would take too much memory or time. */
  GRAMMAR_TOO_LARGE(5004, "Response format too large"),
  /** No adapter of the name that a request gives is loaded. */
  ADAPTER_UNKNOWN(5100, "Unknown adapter"),
  /** An adapter of this name is loaded already. */
  ADAPTER_NAME_IN_USE(5101, "Adapter name in use"),
  /** More adapters, or larger ones, than the model was loaded for. */
  ADAPTER_LIMIT(5102, "No room for the adapter"),

  /** The model was closed. */
  MODEL_CLOSED(6000, "Model closed"),
  /** The generation was cancelled before it could give a result. */
  GENERATION_CANCELLED(6001, "Generation cancelled"),
  /** The generation failed. */
  GENERATION_FAILED(6002, "Generation failed"),
  /** The engine cannot take another request now. */
  ENGINE_OVERLOADED(6003, "Engine overloaded");

  private final int number;
  private final String title;

  ErrorCode(int number, String title) {
    this.number = number;
    this.title = title;
  }

  /** Returns the stable number, such as 1000. */
  public int number() {
    return number;
  }

  /** Returns the short title for lists and documentation. */
  public String title() {
    return title;
  }

  /** Returns the code as users see it, such as {@code FATHOM-1000}. */
  public String id() {
    return "FATHOM-" + number;
  }
}
