package dev.fathom.grammar;

import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.util.List;

/** Another implementation's opinion on whether a document is valid; formats count. */
final class Judge {

  private final Schema schema;

  Judge(String schemaJson) {
    SchemaRegistry registry = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
    this.schema = registry.getSchema(schemaJson, InputFormat.JSON);
  }

  /** Returns what is wrong with a document, nothing if it is valid. */
  List<String> errors(String json) {
    return schema
        .validate(
            json,
            InputFormat.JSON,
            context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)))
        .stream()
        .map(Error::toString)
        .toList();
  }
}
