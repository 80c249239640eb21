BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('dc11669786a5');
CREATE TABLE "assessments" (
	assessment_id VARCHAR(50) NOT NULL, 
	trace_id VARCHAR(50) NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	assessment_type VARCHAR(20) NOT NULL, 
	value TEXT NOT NULL, 
	error TEXT, 
	created_timestamp BIGINT NOT NULL, 
	last_updated_timestamp BIGINT NOT NULL, 
	source_type VARCHAR(50) NOT NULL, 
	source_id VARCHAR(250), 
	run_id VARCHAR(32), 
	span_id VARCHAR(50), 
	rationale TEXT, 
	overrides VARCHAR(50), 
	valid BOOLEAN NOT NULL, 
	assessment_metadata TEXT, 
	experiment_id INTEGER, 
	trace_timestamp_ms BIGINT, 
	aggregate_value FLOAT, 
	is_numeric_value BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT assessments_pk PRIMARY KEY (assessment_id), 
	CONSTRAINT fk_assessments_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE budget_policies (
	budget_policy_id VARCHAR(36) NOT NULL, 
	budget_unit VARCHAR(32) NOT NULL, 
	budget_amount FLOAT NOT NULL, 
	duration_unit VARCHAR(32) NOT NULL, 
	duration_value INTEGER NOT NULL, 
	target_scope VARCHAR(32) NOT NULL, 
	budget_action VARCHAR(32) NOT NULL, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, target_value VARCHAR(255), 
	CONSTRAINT budget_policies_pk PRIMARY KEY (budget_policy_id)
);
CREATE TABLE "datasets" (
	dataset_uuid VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	digest VARCHAR(36) NOT NULL, 
	dataset_source_type VARCHAR(36) NOT NULL, 
	dataset_source TEXT NOT NULL, 
	dataset_schema TEXT, 
	dataset_profile TEXT, 
	CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest), 
	CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "datasets" VALUES('5d0ffdb9f2554de68e678e80fbf8203b',1,'california-housing-train','20b5fb03f9b6f6730ae14b575be5253d','local','{"uri": "{HOME_URI}/data/processed/train.parquet"}','{"mlflow_colspec": [{"type": "double", "name": "MedInc", "required": true}, {"type": "double", "name": "HouseAge", "required": true}, {"type": "double", "name": "AveRooms", "required": true}, {"type": "double", "name": "AveBedrms", "required": true}, {"type": "double", "name": "Population", "required": true}, {"type": "double", "name": "AveOccup", "required": true}, {"type": "double", "name": "Latitude", "required": true}, {"type": "double", "name": "Longitude", "required": true}, {"type": "double", "name": "MedHouseVal", "required": true}]}','{"num_rows": 480, "num_elements": 4320}');
INSERT INTO "datasets" VALUES('f037c898a3ea4d01ae5bd0da22d71cb2',1,'california-housing-test','a12cf48542141f50dd7e527f254a4224','local','{"uri": "{HOME_URI}/data/processed/test.parquet"}','{"mlflow_colspec": [{"type": "double", "name": "MedInc", "required": true}, {"type": "double", "name": "HouseAge", "required": true}, {"type": "double", "name": "AveRooms", "required": true}, {"type": "double", "name": "AveBedrms", "required": true}, {"type": "double", "name": "Population", "required": true}, {"type": "double", "name": "AveOccup", "required": true}, {"type": "double", "name": "Latitude", "required": true}, {"type": "double", "name": "Longitude", "required": true}, {"type": "double", "name": "MedHouseVal", "required": true}]}','{"num_rows": 120, "num_elements": 1080}');
INSERT INTO "datasets" VALUES('ac29353f7cac4277b42380be469595cf',1,'california-housing-train','5fb3f1f9ff55b118b2ef14f8a4627eb6','local','{"uri": "{HOME_URI}/data/processed/train.parquet"}','{"mlflow_colspec": [{"type": "double", "name": "MedInc", "required": true}, {"type": "double", "name": "HouseAge", "required": true}, {"type": "double", "name": "AveRooms", "required": true}, {"type": "double", "name": "AveBedrms", "required": true}, {"type": "double", "name": "Population", "required": true}, {"type": "double", "name": "AveOccup", "required": true}, {"type": "double", "name": "Latitude", "required": true}, {"type": "double", "name": "Longitude", "required": true}, {"type": "double", "name": "MedHouseVal", "required": true}]}','{"num_rows": 528, "num_elements": 4752}');
INSERT INTO "datasets" VALUES('aa9cf227e22647c3a4cfd009920286da',1,'california-housing-test','13e6e9432e568af8ce7f2b9e53a9d176','local','{"uri": "{HOME_URI}/data/processed/test.parquet"}','{"mlflow_colspec": [{"type": "double", "name": "MedInc", "required": true}, {"type": "double", "name": "HouseAge", "required": true}, {"type": "double", "name": "AveRooms", "required": true}, {"type": "double", "name": "AveBedrms", "required": true}, {"type": "double", "name": "Population", "required": true}, {"type": "double", "name": "AveOccup", "required": true}, {"type": "double", "name": "Latitude", "required": true}, {"type": "double", "name": "Longitude", "required": true}, {"type": "double", "name": "MedHouseVal", "required": true}]}','{"num_rows": 132, "num_elements": 1188}');
INSERT INTO "datasets" VALUES('b4ed36fd07cf40ca92468bad36bb5d4b',1,'california-housing-train','9742f5d203fa3db12665db74464b7306','local','{"uri": "{HOME_URI}/data/processed/train.parquet"}','{"mlflow_colspec": [{"type": "double", "name": "MedInc", "required": true}, {"type": "double", "name": "HouseAge", "required": true}, {"type": "double", "name": "AveRooms", "required": true}, {"type": "double", "name": "AveBedrms", "required": true}, {"type": "double", "name": "Population", "required": true}, {"type": "double", "name": "AveOccup", "required": true}, {"type": "double", "name": "Latitude", "required": true}, {"type": "double", "name": "Longitude", "required": true}, {"type": "double", "name": "MedHouseVal", "required": true}]}','{"num_rows": 576, "num_elements": 5184}');
INSERT INTO "datasets" VALUES('13ec821e3cde453dbc0c4f8287f57e25',1,'california-housing-test','7b9f5db7e9de10be1e5da23010db8798','local','{"uri": "{HOME_URI}/data/processed/test.parquet"}','{"mlflow_colspec": [{"type": "double", "name": "MedInc", "required": true}, {"type": "double", "name": "HouseAge", "required": true}, {"type": "double", "name": "AveRooms", "required": true}, {"type": "double", "name": "AveBedrms", "required": true}, {"type": "double", "name": "Population", "required": true}, {"type": "double", "name": "AveOccup", "required": true}, {"type": "double", "name": "Latitude", "required": true}, {"type": "double", "name": "Longitude", "required": true}, {"type": "double", "name": "MedHouseVal", "required": true}]}','{"num_rows": 144, "num_elements": 1296}');
CREATE TABLE endpoint_bindings (
	endpoint_id VARCHAR(36) NOT NULL, 
	resource_type VARCHAR(50) NOT NULL, 
	resource_id VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	created_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), display_name VARCHAR(255), 
	CONSTRAINT endpoint_bindings_pk PRIMARY KEY (endpoint_id, resource_type, resource_id), 
	CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);
CREATE TABLE endpoint_model_mappings (
	mapping_id VARCHAR(36) NOT NULL, 
	endpoint_id VARCHAR(36) NOT NULL, 
	model_definition_id VARCHAR(36) NOT NULL, 
	weight FLOAT NOT NULL, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, linkage_type VARCHAR(64) DEFAULT 'PRIMARY' NOT NULL, fallback_order INTEGER, 
	CONSTRAINT endpoint_model_mappings_pk PRIMARY KEY (mapping_id), 
	CONSTRAINT fk_endpoint_model_mappings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE, 
	CONSTRAINT fk_endpoint_model_mappings_model_definition_id FOREIGN KEY(model_definition_id) REFERENCES model_definitions (model_definition_id)
);
CREATE TABLE endpoint_tags (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	endpoint_id VARCHAR(36) NOT NULL, 
	CONSTRAINT endpoint_tag_pk PRIMARY KEY ("key", endpoint_id), 
	CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);
CREATE TABLE "endpoints" (
	endpoint_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255), 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	routing_strategy VARCHAR(64), 
	fallback_config_json TEXT, 
	experiment_id INTEGER, 
	usage_tracking BOOLEAN DEFAULT '0' NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT endpoints_pk PRIMARY KEY (endpoint_id), 
	CONSTRAINT fk_endpoints_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE SET NULL, 
	CONSTRAINT uq_endpoints_workspace_name UNIQUE (workspace, name)
);
CREATE TABLE entity_associations (
	association_id VARCHAR(36) NOT NULL, 
	source_type VARCHAR(36) NOT NULL, 
	source_id VARCHAR(36) NOT NULL, 
	destination_type VARCHAR(36) NOT NULL, 
	destination_id VARCHAR(36) NOT NULL, 
	created_time BIGINT, 
	CONSTRAINT entity_associations_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
CREATE TABLE "evaluation_dataset_records" (
	dataset_record_id VARCHAR(36) NOT NULL, 
	dataset_id VARCHAR(36) NOT NULL, 
	inputs JSON NOT NULL, 
	expectations JSON, 
	tags JSON, 
	source JSON, 
	source_id VARCHAR(36), 
	source_type VARCHAR(255), 
	created_time BIGINT, 
	last_update_time BIGINT, 
	created_by VARCHAR(255), 
	last_updated_by VARCHAR(255), 
	input_hash VARCHAR(64) NOT NULL, outputs JSON, 
	CONSTRAINT evaluation_dataset_records_pk PRIMARY KEY (dataset_record_id), 
	CONSTRAINT fk_evaluation_dataset_records_dataset_id FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (dataset_id) ON DELETE CASCADE, 
	CONSTRAINT unique_dataset_input UNIQUE (dataset_id, input_hash)
);
CREATE TABLE evaluation_dataset_tags (
	dataset_id VARCHAR(36) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	value VARCHAR(5000), 
	CONSTRAINT evaluation_dataset_tags_pk PRIMARY KEY (dataset_id, "key"), 
	CONSTRAINT fk_evaluation_dataset_tags_dataset_id FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (dataset_id) ON DELETE CASCADE
);
CREATE TABLE "evaluation_datasets" (
	dataset_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	schema TEXT, 
	profile TEXT, 
	digest VARCHAR(64), 
	created_time BIGINT, 
	last_update_time BIGINT, 
	created_by VARCHAR(255), 
	last_updated_by VARCHAR(255), 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT evaluation_datasets_pk PRIMARY KEY (dataset_id)
);
CREATE TABLE "experiment_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	experiment_id INTEGER NOT NULL, 
	CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "experiments" (
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	artifact_location VARCHAR(256), 
	lifecycle_stage VARCHAR(32), 
	creation_time BIGINT, 
	last_update_time BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), 
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
);
INSERT INTO "experiments" VALUES(0,'Default','{HOME_URI}/var/artifacts/0','active',1795899889407,1795899889407,'default');
INSERT INTO "experiments" VALUES(1,'california-housing','{HOME_URI}/var/artifacts','active',1795899889438,1795899889438,'default');
CREATE TABLE guardrail_configs (
	endpoint_id VARCHAR(36) NOT NULL, 
	guardrail_id VARCHAR(36) NOT NULL, 
	execution_order INTEGER, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT guardrail_configs_pk PRIMARY KEY (endpoint_id, guardrail_id), 
	CONSTRAINT fk_guardrail_configs_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE, 
	CONSTRAINT fk_guardrail_configs_guardrail_id FOREIGN KEY(guardrail_id) REFERENCES guardrails (guardrail_id) ON DELETE CASCADE
);
CREATE TABLE guardrails (
	guardrail_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	scorer_id VARCHAR(36) NOT NULL, 
	scorer_version INTEGER NOT NULL, 
	stage VARCHAR(32) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	action_endpoint_id VARCHAR(36), 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT guardrails_pk PRIMARY KEY (guardrail_id), 
	CONSTRAINT fk_guardrails_scorer_version FOREIGN KEY(scorer_id, scorer_version) REFERENCES scorer_versions (scorer_id, scorer_version), 
	CONSTRAINT fk_guardrails_action_endpoint_id FOREIGN KEY(action_endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE SET NULL
);
CREATE TABLE input_tags (
	input_uuid VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value VARCHAR(500) NOT NULL, 
	CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
INSERT INTO "input_tags" VALUES('a459d7ee067145aebd3d01984a0cc908','mlflow.data.context','train');
INSERT INTO "input_tags" VALUES('8e41bc0f302b4a0393f350f8c1c8bd2a','mlflow.data.context','test');
INSERT INTO "input_tags" VALUES('0b33b498680b454fb0f57274656593a9','mlflow.data.context','train');
INSERT INTO "input_tags" VALUES('e25675d1328444f0863b326f5591f052','mlflow.data.context','test');
INSERT INTO "input_tags" VALUES('edf15527b04c4779a25d3c7f06ee9911','mlflow.data.context','train');
INSERT INTO "input_tags" VALUES('c10a321c563a4169bb293f0e3368da26','mlflow.data.context','test');
CREATE TABLE inputs (
	input_uuid VARCHAR(36) NOT NULL, 
	source_type VARCHAR(36) NOT NULL, 
	source_id VARCHAR(36) NOT NULL, 
	destination_type VARCHAR(36) NOT NULL, 
	destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('a459d7ee067145aebd3d01984a0cc908','DATASET','5d0ffdb9f2554de68e678e80fbf8203b','RUN','f8acd757162949f4b63915b842b350c0',0);
INSERT INTO "inputs" VALUES('8e41bc0f302b4a0393f350f8c1c8bd2a','DATASET','f037c898a3ea4d01ae5bd0da22d71cb2','RUN','f8acd757162949f4b63915b842b350c0',0);
INSERT INTO "inputs" VALUES('c9691b894e2c42dc9d16f67fe3e7514c','RUN_OUTPUT','f8acd757162949f4b63915b842b350c0','MODEL_OUTPUT','m-e27309e0a77247bb8cdb8fa707737574',0);
INSERT INTO "inputs" VALUES('0b33b498680b454fb0f57274656593a9','DATASET','ac29353f7cac4277b42380be469595cf','RUN','b34c116017a047d790669315ea6685e3',0);
INSERT INTO "inputs" VALUES('e25675d1328444f0863b326f5591f052','DATASET','aa9cf227e22647c3a4cfd009920286da','RUN','b34c116017a047d790669315ea6685e3',0);
INSERT INTO "inputs" VALUES('fb56c2c8bcb0473e8616bc966985c238','RUN_OUTPUT','b34c116017a047d790669315ea6685e3','MODEL_OUTPUT','m-4c5f96f723f94f80823b67e28bd41534',0);
INSERT INTO "inputs" VALUES('edf15527b04c4779a25d3c7f06ee9911','DATASET','b4ed36fd07cf40ca92468bad36bb5d4b','RUN','082b531b7ac24265ab11c1a82fca2320',0);
INSERT INTO "inputs" VALUES('c10a321c563a4169bb293f0e3368da26','DATASET','13ec821e3cde453dbc0c4f8287f57e25','RUN','082b531b7ac24265ab11c1a82fca2320',0);
INSERT INTO "inputs" VALUES('ad3a4828fde34e21bba952c034ebf5a9','RUN_OUTPUT','082b531b7ac24265ab11c1a82fca2320','MODEL_OUTPUT','m-5a2349f98e2b4b6e9951b78ce38e2bbf',0);
CREATE TABLE issues (
	issue_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	description TEXT NOT NULL, 
	status VARCHAR(50) NOT NULL, 
	severity VARCHAR(50), 
	root_causes TEXT, 
	source_run_id VARCHAR(32), 
	categories TEXT, 
	created_timestamp BIGINT NOT NULL, 
	last_updated_timestamp BIGINT NOT NULL, 
	created_by VARCHAR(255), 
	CONSTRAINT issues_pk PRIMARY KEY (issue_id), 
	CONSTRAINT fk_issues_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE, 
	CONSTRAINT fk_issues_source_run_id FOREIGN KEY(source_run_id) REFERENCES runs (run_uuid) ON DELETE SET NULL
);
CREATE TABLE job_locks (
	lock_key VARCHAR(255) NOT NULL, 
	job_id VARCHAR(36) NOT NULL, 
	acquired_at BIGINT NOT NULL, 
	CONSTRAINT job_locks_pk PRIMARY KEY (lock_key), 
	CONSTRAINT fk_job_locks_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE "jobs" (
	id VARCHAR(36) NOT NULL, 
	creation_time BIGINT NOT NULL, 
	job_name VARCHAR(500) NOT NULL, 
	params TEXT NOT NULL, 
	timeout FLOAT, 
	status INTEGER NOT NULL, 
	result TEXT, 
	retry_count INTEGER NOT NULL, 
	last_update_time BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, status_details JSON, creator VARCHAR(255), executor_backend VARCHAR(255), lease_expires_at BIGINT, status_message TEXT, progress JSON, progress_updated_at BIGINT, token_hash VARCHAR(64), scoped_permissions JSON, next_attempt_at BIGINT, 
	CONSTRAINT jobs_pk PRIMARY KEY (id)
);
CREATE TABLE label_schemas (
	schema_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	instruction TEXT, 
	enable_comment BOOLEAN DEFAULT '0' NOT NULL, 
	input_type VARCHAR(32) NOT NULL, 
	input_config TEXT NOT NULL, 
	created_by VARCHAR(255), 
	created_time BIGINT NOT NULL, 
	last_update_time BIGINT NOT NULL, 
	is_default BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT label_schemas_pk PRIMARY KEY (schema_id), 
	CONSTRAINT fk_label_schemas_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE, 
	CONSTRAINT uq_label_schemas_exp_name UNIQUE (experiment_id, name)
);
CREATE TABLE "latest_metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT, 
	step BIGINT NOT NULL, 
	is_nan BOOLEAN NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT latest_metric_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "latest_metrics" VALUES('cv_rmse',5.9038837117515863273e-01,1795899890806,0,0,'f8acd757162949f4b63915b842b350c0');
INSERT INTO "latest_metrics" VALUES('cv_rmse_std',3.85069622002794965942e-03,1795899890806,0,0,'f8acd757162949f4b63915b842b350c0');
INSERT INTO "latest_metrics" VALUES('test_rmse',6.16453639052349289251e-01,1795899890852,0,0,'f8acd757162949f4b63915b842b350c0');
INSERT INTO "latest_metrics" VALUES('test_mae',4.82597950780809303861e-01,1795899890852,0,0,'f8acd757162949f4b63915b842b350c0');
INSERT INTO "latest_metrics" VALUES('test_median_error',3.88893995315376050925e-01,1795899890852,0,0,'f8acd757162949f4b63915b842b350c0');
INSERT INTO "latest_metrics" VALUES('test_r2',6.20409714166810344337e-01,1795899890852,0,0,'f8acd757162949f4b63915b842b350c0');
INSERT INTO "latest_metrics" VALUES('rmse',5.9038837117515863273e-01,1795899892521,0,0,'3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "latest_metrics" VALUES('first_fold',5.90259612913837661274e-01,1795899892521,0,0,'3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "latest_metrics" VALUES('seconds',4.26578999000412295572e-01,1795899892521,0,0,'3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "latest_metrics" VALUES('rmse',8.0272993492221844658e-01,1795899892720,0,0,'2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "latest_metrics" VALUES('first_fold',8.31223846796186327523e-01,1795899892720,0,0,'2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "latest_metrics" VALUES('seconds',0.28330467899832,1795899892720,0,0,'2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "latest_metrics" VALUES('cv_rmse',5.84136130413099086133e-01,1795899895214,0,0,'b34c116017a047d790669315ea6685e3');
INSERT INTO "latest_metrics" VALUES('cv_rmse_std',1.77207130792032159505e-02,1795899895214,0,0,'b34c116017a047d790669315ea6685e3');
INSERT INTO "latest_metrics" VALUES('test_rmse',5.8817344011328209774e-01,1795899895232,0,0,'b34c116017a047d790669315ea6685e3');
INSERT INTO "latest_metrics" VALUES('test_mae',4.44422392895264084522e-01,1795899895232,0,0,'b34c116017a047d790669315ea6685e3');
INSERT INTO "latest_metrics" VALUES('test_median_error',3.37949808011849262001e-01,1795899895232,0,0,'b34c116017a047d790669315ea6685e3');
INSERT INTO "latest_metrics" VALUES('test_r2',6.60906813890858146898e-01,1795899895232,0,0,'b34c116017a047d790669315ea6685e3');
INSERT INTO "latest_metrics" VALUES('rmse',5.84136130413099086133e-01,1795899895491,0,0,'a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "latest_metrics" VALUES('first_fold',0.559585405412093,1795899895491,0,0,'a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "latest_metrics" VALUES('seconds',1.7483216500113485381e-01,1795899895491,0,0,'a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "latest_metrics" VALUES('rmse',7.87000236232715644213e-01,1795899895541,0,0,'6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "latest_metrics" VALUES('first_fold',7.74995761840603147874e-01,1795899895541,0,0,'6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "latest_metrics" VALUES('seconds',1.87768613001026096753e-01,1795899895541,0,0,'6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "latest_metrics" VALUES('cv_rmse',5.66243999124582564341e-01,1795899897057,0,0,'082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "latest_metrics" VALUES('cv_rmse_std',2.76135188343188918425e-02,1795899897057,0,0,'082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "latest_metrics" VALUES('test_rmse',5.83550955905140722457e-01,1795899897075,0,0,'082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "latest_metrics" VALUES('test_mae',4.8724911744119570045e-01,1795899897075,0,0,'082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "latest_metrics" VALUES('test_median_error',4.23812196675359964537e-01,1795899897075,0,0,'082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "latest_metrics" VALUES('test_r2',0.674533744518323,1795899897075,0,0,'082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "latest_metrics" VALUES('rmse',5.66243999124582564341e-01,1795899897299,0,0,'7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "latest_metrics" VALUES('first_fold',5.65659382836910085146e-01,1795899897299,0,0,'7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "latest_metrics" VALUES('seconds',8.25716509989433689042e-02,1795899897299,0,0,'7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "latest_metrics" VALUES('rmse',7.55261973879797210429e-01,1795899897348,0,0,'34030040497742d69471ddf0b6869ad7');
INSERT INTO "latest_metrics" VALUES('first_fold',7.50895653104883376016e-01,1795899897348,0,0,'34030040497742d69471ddf0b6869ad7');
INSERT INTO "latest_metrics" VALUES('seconds',1.0959470400121062994e-01,1795899897348,0,0,'34030040497742d69471ddf0b6869ad7');
CREATE TABLE logged_model_metrics (
	model_id VARCHAR(36) NOT NULL, 
	metric_name VARCHAR(500) NOT NULL, 
	metric_timestamp_ms BIGINT NOT NULL, 
	metric_step BIGINT NOT NULL, 
	metric_value FLOAT, 
	experiment_id INTEGER NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	dataset_uuid VARCHAR(36), 
	dataset_name VARCHAR(500), 
	dataset_digest VARCHAR(36), 
	CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id), 
	CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE, 
	CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_uuid) ON DELETE CASCADE
);
INSERT INTO "logged_model_metrics" VALUES('m-e27309e0a77247bb8cdb8fa707737574','cv_rmse',1795899890806,0,5.9038837117515863273e-01,1,'f8acd757162949f4b63915b842b350c0',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-e27309e0a77247bb8cdb8fa707737574','cv_rmse_std',1795899890806,0,3.85069622002794965942e-03,1,'f8acd757162949f4b63915b842b350c0',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-e27309e0a77247bb8cdb8fa707737574','test_rmse',1795899890852,0,6.16453639052349289251e-01,1,'f8acd757162949f4b63915b842b350c0',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-e27309e0a77247bb8cdb8fa707737574','test_mae',1795899890852,0,4.82597950780809303861e-01,1,'f8acd757162949f4b63915b842b350c0',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-e27309e0a77247bb8cdb8fa707737574','test_median_error',1795899890852,0,3.88893995315376050925e-01,1,'f8acd757162949f4b63915b842b350c0',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-e27309e0a77247bb8cdb8fa707737574','test_r2',1795899890852,0,6.20409714166810344337e-01,1,'f8acd757162949f4b63915b842b350c0',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-4c5f96f723f94f80823b67e28bd41534','cv_rmse',1795899895214,0,5.84136130413099086133e-01,1,'b34c116017a047d790669315ea6685e3',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-4c5f96f723f94f80823b67e28bd41534','cv_rmse_std',1795899895214,0,1.77207130792032159505e-02,1,'b34c116017a047d790669315ea6685e3',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-4c5f96f723f94f80823b67e28bd41534','test_rmse',1795899895232,0,5.8817344011328209774e-01,1,'b34c116017a047d790669315ea6685e3',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-4c5f96f723f94f80823b67e28bd41534','test_mae',1795899895232,0,4.44422392895264084522e-01,1,'b34c116017a047d790669315ea6685e3',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-4c5f96f723f94f80823b67e28bd41534','test_median_error',1795899895232,0,3.37949808011849262001e-01,1,'b34c116017a047d790669315ea6685e3',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-4c5f96f723f94f80823b67e28bd41534','test_r2',1795899895232,0,6.60906813890858146898e-01,1,'b34c116017a047d790669315ea6685e3',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf','cv_rmse',1795899897057,0,5.66243999124582564341e-01,1,'082b531b7ac24265ab11c1a82fca2320',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf','cv_rmse_std',1795899897057,0,2.76135188343188918425e-02,1,'082b531b7ac24265ab11c1a82fca2320',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf','test_rmse',1795899897075,0,5.83550955905140722457e-01,1,'082b531b7ac24265ab11c1a82fca2320',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf','test_mae',1795899897075,0,4.8724911744119570045e-01,1,'082b531b7ac24265ab11c1a82fca2320',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf','test_median_error',1795899897075,0,4.23812196675359964537e-01,1,'082b531b7ac24265ab11c1a82fca2320',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf','test_r2',1795899897075,0,0.674533744518323,1,'082b531b7ac24265ab11c1a82fca2320',NULL,NULL,NULL);
CREATE TABLE logged_model_params (
	model_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	param_key VARCHAR(255) NOT NULL, 
	param_value TEXT NOT NULL, 
	CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key), 
	CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
INSERT INTO "logged_model_params" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'degree','1');
INSERT INTO "logged_model_params" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'alpha','1.0');
INSERT INTO "logged_model_params" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'degree','1');
INSERT INTO "logged_model_params" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'alpha','1.0');
INSERT INTO "logged_model_params" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'degree','1');
INSERT INTO "logged_model_params" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'alpha','1.0');
CREATE TABLE logged_model_tags (
	model_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	tag_key VARCHAR(255) NOT NULL, 
	tag_value TEXT NOT NULL, 
	CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key), 
	CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
INSERT INTO "logged_model_tags" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'mlflow.user','root');
INSERT INTO "logged_model_tags" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'mlflow.source.name','./make_service_home.py');
INSERT INTO "logged_model_tags" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'mlflow.source.git.commit','598e04d96cdb12d70c69c4b7ae854b0b412684c9');
INSERT INTO "logged_model_tags" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'mlflow.source.git.branch','w_compat');
INSERT INTO "logged_model_tags" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'mlflow.user','root');
INSERT INTO "logged_model_tags" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'mlflow.source.name','./make_service_home.py');
INSERT INTO "logged_model_tags" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'mlflow.source.git.commit','598e04d96cdb12d70c69c4b7ae854b0b412684c9');
INSERT INTO "logged_model_tags" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'mlflow.source.git.branch','w_compat');
INSERT INTO "logged_model_tags" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'mlflow.user','root');
INSERT INTO "logged_model_tags" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'mlflow.source.name','./make_service_home.py');
INSERT INTO "logged_model_tags" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'mlflow.source.git.commit','598e04d96cdb12d70c69c4b7ae854b0b412684c9');
INSERT INTO "logged_model_tags" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'mlflow.source.git.branch','w_compat');
CREATE TABLE logged_models (
	model_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	artifact_location VARCHAR(1000) NOT NULL, 
	creation_timestamp_ms BIGINT NOT NULL, 
	last_updated_timestamp_ms BIGINT NOT NULL, 
	status INTEGER NOT NULL, 
	lifecycle_stage VARCHAR(32), 
	model_type VARCHAR(500), 
	source_run_id VARCHAR(32), 
	status_message VARCHAR(1000), 
	CONSTRAINT logged_models_pk PRIMARY KEY (model_id), 
	CONSTRAINT logged_models_lifecycle_stage_check CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "logged_models" VALUES('m-e27309e0a77247bb8cdb8fa707737574',1,'model','{HOME_URI}/var/artifacts/models/m-e27309e0a77247bb8cdb8fa707737574/artifacts',1795899891075,1795899892402,2,'active',NULL,'f8acd757162949f4b63915b842b350c0',NULL);
INSERT INTO "logged_models" VALUES('m-4c5f96f723f94f80823b67e28bd41534',1,'model','{HOME_URI}/var/artifacts/models/m-4c5f96f723f94f80823b67e28bd41534/artifacts',1795899895322,1795899895450,2,'active',NULL,'b34c116017a047d790669315ea6685e3',NULL);
INSERT INTO "logged_models" VALUES('m-5a2349f98e2b4b6e9951b78ce38e2bbf',1,'model','{HOME_URI}/var/artifacts/models/m-5a2349f98e2b4b6e9951b78ce38e2bbf/artifacts',1795899897138,1795899897242,2,'active',NULL,'082b531b7ac24265ab11c1a82fca2320',NULL);
CREATE TABLE mcp_access_endpoints (
	id VARCHAR(36) NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	server_name VARCHAR(256) NOT NULL, 
	server_version VARCHAR(128), 
	server_alias VARCHAR(256), 
	url VARCHAR(2048) NOT NULL, 
	transport_type VARCHAR(32) DEFAULT 'streamable-http' NOT NULL, 
	created_by VARCHAR(256), 
	last_updated_by VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	last_updated_at BIGINT NOT NULL, 
	CONSTRAINT mcp_access_endpoints_pk PRIMARY KEY (id), 
	CONSTRAINT mcp_access_endpoints_server_fkey FOREIGN KEY(workspace, server_name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_aliases (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	alias VARCHAR(256) NOT NULL, 
	version VARCHAR(128) NOT NULL, 
	CONSTRAINT mcp_server_aliases_pk PRIMARY KEY (workspace, name, alias), 
	CONSTRAINT mcp_server_aliases_server_fkey FOREIGN KEY(workspace, name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_tags (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	CONSTRAINT mcp_server_tags_pk PRIMARY KEY (workspace, name, "key"), 
	CONSTRAINT mcp_server_tags_server_fkey FOREIGN KEY(workspace, name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_version_tags (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	version VARCHAR(128) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	CONSTRAINT mcp_server_version_tags_pk PRIMARY KEY (workspace, name, version, "key"), 
	CONSTRAINT mcp_server_version_tags_version_fkey FOREIGN KEY(workspace, name, version) REFERENCES mcp_server_versions (workspace, name, version) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_versions (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	version VARCHAR(128) NOT NULL, 
	version_major INTEGER NOT NULL, 
	version_minor INTEGER NOT NULL, 
	version_patch INTEGER NOT NULL, 
	version_prerelease_sort_key VARCHAR(512) NOT NULL, 
	server_json JSON NOT NULL, 
	status VARCHAR(20) DEFAULT 'draft' NOT NULL, 
	tools JSON, 
	source VARCHAR(512), 
	connect_options JSON, 
	created_by VARCHAR(256), 
	last_updated_by VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	last_updated_at BIGINT NOT NULL, 
	CONSTRAINT mcp_server_versions_pk PRIMARY KEY (workspace, name, version), 
	CONSTRAINT mcp_server_versions_server_fkey FOREIGN KEY(workspace, name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_servers (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	display_name VARCHAR(256), 
	description TEXT, 
	icons JSON, 
	created_by VARCHAR(256), 
	last_updated_by VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	last_updated_at BIGINT NOT NULL, 
	CONSTRAINT mcp_servers_pk PRIMARY KEY (workspace, name)
);
CREATE TABLE "metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	step BIGINT DEFAULT '0' NOT NULL, 
	is_nan BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('cv_rmse',5.9038837117515863273e-01,1795899890806,'f8acd757162949f4b63915b842b350c0',0,0);
INSERT INTO "metrics" VALUES('cv_rmse_std',3.85069622002794965942e-03,1795899890806,'f8acd757162949f4b63915b842b350c0',0,0);
INSERT INTO "metrics" VALUES('test_rmse',6.16453639052349289251e-01,1795899890852,'f8acd757162949f4b63915b842b350c0',0,0);
INSERT INTO "metrics" VALUES('test_mae',4.82597950780809303861e-01,1795899890852,'f8acd757162949f4b63915b842b350c0',0,0);
INSERT INTO "metrics" VALUES('test_median_error',3.88893995315376050925e-01,1795899890852,'f8acd757162949f4b63915b842b350c0',0,0);
INSERT INTO "metrics" VALUES('test_r2',6.20409714166810344337e-01,1795899890852,'f8acd757162949f4b63915b842b350c0',0,0);
INSERT INTO "metrics" VALUES('rmse',5.9038837117515863273e-01,1795899892521,'3d04e79c97c84f8d8fb0d24ccb143edb',0,0);
INSERT INTO "metrics" VALUES('first_fold',5.90259612913837661274e-01,1795899892521,'3d04e79c97c84f8d8fb0d24ccb143edb',0,0);
INSERT INTO "metrics" VALUES('seconds',4.26578999000412295572e-01,1795899892521,'3d04e79c97c84f8d8fb0d24ccb143edb',0,0);
INSERT INTO "metrics" VALUES('rmse',8.0272993492221844658e-01,1795899892720,'2e9f14bd57274c1bb5d192b1c903b8e0',0,0);
INSERT INTO "metrics" VALUES('first_fold',8.31223846796186327523e-01,1795899892720,'2e9f14bd57274c1bb5d192b1c903b8e0',0,0);
INSERT INTO "metrics" VALUES('seconds',0.28330467899832,1795899892720,'2e9f14bd57274c1bb5d192b1c903b8e0',0,0);
INSERT INTO "metrics" VALUES('cv_rmse',5.84136130413099086133e-01,1795899895214,'b34c116017a047d790669315ea6685e3',0,0);
INSERT INTO "metrics" VALUES('cv_rmse_std',1.77207130792032159505e-02,1795899895214,'b34c116017a047d790669315ea6685e3',0,0);
INSERT INTO "metrics" VALUES('test_rmse',5.8817344011328209774e-01,1795899895232,'b34c116017a047d790669315ea6685e3',0,0);
INSERT INTO "metrics" VALUES('test_mae',4.44422392895264084522e-01,1795899895232,'b34c116017a047d790669315ea6685e3',0,0);
INSERT INTO "metrics" VALUES('test_median_error',3.37949808011849262001e-01,1795899895232,'b34c116017a047d790669315ea6685e3',0,0);
INSERT INTO "metrics" VALUES('test_r2',6.60906813890858146898e-01,1795899895232,'b34c116017a047d790669315ea6685e3',0,0);
INSERT INTO "metrics" VALUES('rmse',5.84136130413099086133e-01,1795899895491,'a26dd38c3a2b497981470561f7b47e67',0,0);
INSERT INTO "metrics" VALUES('first_fold',0.559585405412093,1795899895491,'a26dd38c3a2b497981470561f7b47e67',0,0);
INSERT INTO "metrics" VALUES('seconds',1.7483216500113485381e-01,1795899895491,'a26dd38c3a2b497981470561f7b47e67',0,0);
INSERT INTO "metrics" VALUES('rmse',7.87000236232715644213e-01,1795899895541,'6be9d502ea9a49eea9edf9d9a8c50841',0,0);
INSERT INTO "metrics" VALUES('first_fold',7.74995761840603147874e-01,1795899895541,'6be9d502ea9a49eea9edf9d9a8c50841',0,0);
INSERT INTO "metrics" VALUES('seconds',1.87768613001026096753e-01,1795899895541,'6be9d502ea9a49eea9edf9d9a8c50841',0,0);
INSERT INTO "metrics" VALUES('cv_rmse',5.66243999124582564341e-01,1795899897057,'082b531b7ac24265ab11c1a82fca2320',0,0);
INSERT INTO "metrics" VALUES('cv_rmse_std',2.76135188343188918425e-02,1795899897057,'082b531b7ac24265ab11c1a82fca2320',0,0);
INSERT INTO "metrics" VALUES('test_rmse',5.83550955905140722457e-01,1795899897075,'082b531b7ac24265ab11c1a82fca2320',0,0);
INSERT INTO "metrics" VALUES('test_mae',4.8724911744119570045e-01,1795899897075,'082b531b7ac24265ab11c1a82fca2320',0,0);
INSERT INTO "metrics" VALUES('test_median_error',4.23812196675359964537e-01,1795899897075,'082b531b7ac24265ab11c1a82fca2320',0,0);
INSERT INTO "metrics" VALUES('test_r2',0.674533744518323,1795899897075,'082b531b7ac24265ab11c1a82fca2320',0,0);
INSERT INTO "metrics" VALUES('rmse',5.66243999124582564341e-01,1795899897299,'7658a9dcb0304a71a759a721a480c8b9',0,0);
INSERT INTO "metrics" VALUES('first_fold',5.65659382836910085146e-01,1795899897299,'7658a9dcb0304a71a759a721a480c8b9',0,0);
INSERT INTO "metrics" VALUES('seconds',8.25716509989433689042e-02,1795899897299,'7658a9dcb0304a71a759a721a480c8b9',0,0);
INSERT INTO "metrics" VALUES('rmse',7.55261973879797210429e-01,1795899897348,'34030040497742d69471ddf0b6869ad7',0,0);
INSERT INTO "metrics" VALUES('first_fold',7.50895653104883376016e-01,1795899897348,'34030040497742d69471ddf0b6869ad7',0,0);
INSERT INTO "metrics" VALUES('seconds',1.0959470400121062994e-01,1795899897348,'34030040497742d69471ddf0b6869ad7',0,0);
CREATE TABLE "model_definitions" (
	model_definition_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	secret_id VARCHAR(36), 
	provider VARCHAR(64) NOT NULL, 
	model_name VARCHAR(256) NOT NULL, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT model_definitions_pk PRIMARY KEY (model_definition_id), 
	CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY(secret_id) REFERENCES secrets (secret_id) ON DELETE SET NULL, 
	CONSTRAINT uq_model_definitions_workspace_name UNIQUE (workspace, name)
);
CREATE TABLE "model_version_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	name VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT model_version_tag_pk PRIMARY KEY (workspace, "key", name, version), 
	CONSTRAINT fk_model_version_tags_model_versions FOREIGN KEY(workspace, name, version) REFERENCES model_versions (workspace, name, version) ON UPDATE CASCADE
);
INSERT INTO "model_version_tags" VALUES('data_source','sample','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('data_version','','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('raw_md5','','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('raw_sha256','0348fd1903ed941364d661c8470c964270bec55342c2b2f04d015b95c064cd4d','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('train_sha256','20b5fb03f9b6f6730ae14b575be5253d2443b9ace7c06ab813b8396fb9e3521c','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080100-0001/03_register.html','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('notebook','03_register_small.ipynb','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('notebook_code_sha256','0000000000000000000000000000000000000000000000000000000000000001','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('pipeline.command','python run_pipeline.py -p prep.source=sample','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('mlflow.source.git.commit','a728a4f0e2bd4accb23b967db343d3024ff85555','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('lock_sha256','68f41bc13d3112f6263010f77003d0eb6afd25dc2512dc0b66006f559bd8e9fe','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('family','linear','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('training','20261128-080100-0001','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('cv_rmse','0.590388','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('test_rmse','0.616454','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('verdict','promoted','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('reason','all 10 checks passed; test RMSE gained on the training mean, $: 39,082','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('gate','[{"check": "test rows", "value": 120.0, "limit": 100.0, "passed": true}, {"check": "share of finite predictions", "value": 1.0, "limit": 1.0, "passed": true}, {"check": "share of predictions near the training values", "value": 1.0, "limit": 1.0, "passed": true}, {"check": "columns of the signature that are not the schema''s", "value": 0.0, "limit": 0.0, "passed": true}, {"check": "served graph differs from the model by", "value": 2.220446049250313e-15, "limit": 1e-09, "passed": true}, {"check": "one row takes, ms", "value": 0.008692999472259544, "limit": 1.0, "passed": true}, {"check": "served graph takes, MB", "value": 0.003125, "limit": 50.0, "passed": true}, {"check": "times that this very model was rolled back", "value": 0.0, "limit": 0.0, "passed": true}, {"check": "RMSE surely gained (90% interval), $", "value": 30050.22, "limit": 0.0, "passed": true}, {"check": "test RMSE gained on the training mean, $", "value": 39082.29, "limit": 0.0, "passed": true}]','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('served','served/5e05bcaf271b','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('sha256','{"intervals.skops": "355595105f261c06e7231008ed8b9847f7ccb4a193f2a9c5b531494f524aa7b8", "model.skops": "ea6ff3653a41bae2ec63ed531c6cdd6b8ecdc62442b0bdb2efd45ef2852888dd", "served/5e05bcaf271b/domain.json": "8cd26c5cc6f7d509aab179c588bfedef9358ddb6a140164df0d2e492134df6e8", "served/5e05bcaf271b/examples.json": "628670a55d4103540ae534d744587235fec342ead7d3b1d447342ae397acece0", "served/5e05bcaf271b/model.onnx": "e702295e5e9d16433ae27e1c3f68c2dc267d84cd53b7acffb5bc66037f732ed0"}','california-housing-sample',1,'default');
INSERT INTO "model_version_tags" VALUES('alias','champion','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('before','','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('after','1','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('action','promoted','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('reason','all 10 checks passed; test RMSE gained on the training mean, $: 39,082','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('at','2026-11-28T21:04:53+00:00','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('who','ann','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('run_id','f8acd757162949f4b63915b842b350c0','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080100-0001/03_register.html','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('verdict','promoted','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('done','yes','california-housing-sample-history',1,'default');
INSERT INTO "model_version_tags" VALUES('data_source','sample','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('data_version','','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('raw_md5','','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('raw_sha256','16a9deef67089459ae48547d5639f9191a34d51d0dd68f3a0c16861f32817a0f','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('train_sha256','5fb3f1f9ff55b118b2ef14f8a4627eb6e8bf462aaafdeed0465b5b9a7f516a69','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080200-0002/03_register.html','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('notebook','03_register_small.ipynb','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('notebook_code_sha256','0000000000000000000000000000000000000000000000000000000000000002','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('pipeline.command','python run_pipeline.py -p prep.source=sample','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('mlflow.source.git.commit','a728a4f0e2bd4accb23b967db343d3024ff85555','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('lock_sha256','68f41bc13d3112f6263010f77003d0eb6afd25dc2512dc0b66006f559bd8e9fe','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('family','linear','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('training','20261128-080200-0002','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('cv_rmse','0.584136','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('test_rmse','0.588173','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('verdict','refused','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('reason','RMSE surely gained (90% interval), $: 0 (limit 0); test RMSE gained on the champion, $: 0 (limit 0)','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('gate','[{"check": "test rows", "value": 132.0, "limit": 100.0, "passed": true}, {"check": "share of finite predictions", "value": 1.0, "limit": 1.0, "passed": true}, {"check": "share of predictions near the training values", "value": 1.0, "limit": 1.0, "passed": true}, {"check": "columns of the signature that are not the schema''s", "value": 0.0, "limit": 0.0, "passed": true}, {"check": "served graph differs from the model by", "value": 1.7763568394002505e-15, "limit": 1e-09, "passed": true}, {"check": "one row takes, ms", "value": 0.008367499503947329, "limit": 1.0, "passed": true}, {"check": "served graph takes, MB", "value": 0.003126, "limit": 50.0, "passed": true}, {"check": "times that this very model was rolled back", "value": 0.0, "limit": 0.0, "passed": true}, {"check": "price band $200k to 300k got worse by, %", "value": 0.0, "limit": 10.0, "passed": true}, {"check": "RMSE surely gained (90% interval), $", "value": 0.0, "limit": 0.0, "passed": false}, {"check": "test RMSE gained on the champion, $", "value": 0.0, "limit": 0.0, "passed": false}]','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('served','served/2ab92697f524','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('sha256','{"intervals.skops": "0264de133eb55a67fb1bd7ccd89d06db2027d66abf3d205c5feade7948d04453", "model.skops": "4e0fdf25258f48740df1377836d8450a562bc432d66422d12916e348287a1f2c", "served/2ab92697f524/domain.json": "a7ff054a2108d53f799ce381446f266cdf4045b611f2120704c5191e7685d1d1", "served/2ab92697f524/examples.json": "7fe929358a4ff3bf31789f3a001abf02276b86407376a7120b87e4511e0c859f", "served/2ab92697f524/model.onnx": "ac7f77605be52ae2760efdb05c1279794cddc5f12e4a6af3de656ece0773dbbd"}','california-housing-sample',2,'default');
INSERT INTO "model_version_tags" VALUES('alias','challenger','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('before','','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('after','2','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('action','refused','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('reason','RMSE surely gained (90% interval), $: 0 (limit 0); test RMSE gained on the champion, $: 0 (limit 0)','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('at','2026-11-28T21:04:56+00:00','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('who','ann','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('run_id','b34c116017a047d790669315ea6685e3','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080200-0002/03_register.html','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('verdict','refused','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('done','yes','california-housing-sample-history',2,'default');
INSERT INTO "model_version_tags" VALUES('alias','champion','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('before','1','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('after','2','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('action','promoted by hand','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('reason','asked by the county','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('at','2026-11-28T21:04:56+00:00','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('who','ben','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('run_id','b34c116017a047d790669315ea6685e3','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080200-0002/03_register.html','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('verdict','refused','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('done','yes','california-housing-sample-history',3,'default');
INSERT INTO "model_version_tags" VALUES('data_source','sample','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('data_version','','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('raw_md5','','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('raw_sha256','03484f0d924af281f91f6f338943c0b99ace612cfa5aeda79eed1caa3ce87ad3','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('train_sha256','9742f5d203fa3db12665db74464b7306e645f1c690e7ea34bc9fd7012b2e7ceb','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080300-0003/03_register.html','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('notebook','03_register_small.ipynb','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('notebook_code_sha256','0000000000000000000000000000000000000000000000000000000000000003','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('pipeline.command','python run_pipeline.py -p prep.source=sample','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('mlflow.source.git.commit','a728a4f0e2bd4accb23b967db343d3024ff85555','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('lock_sha256','68f41bc13d3112f6263010f77003d0eb6afd25dc2512dc0b66006f559bd8e9fe','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('family','linear','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('training','20261128-080300-0003','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('cv_rmse','0.566244','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('test_rmse','0.583551','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('verdict','refused','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('reason','RMSE surely gained (90% interval), $: 0 (limit 0); test RMSE gained on the champion, $: 0 (limit 0)','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('gate','[{"check": "test rows", "value": 144.0, "limit": 100.0, "passed": true}, {"check": "share of finite predictions", "value": 1.0, "limit": 1.0, "passed": true}, {"check": "share of predictions near the training values", "value": 1.0, "limit": 1.0, "passed": true}, {"check": "columns of the signature that are not the schema''s", "value": 0.0, "limit": 0.0, "passed": true}, {"check": "served graph differs from the model by", "value": 2.220446049250313e-15, "limit": 1e-09, "passed": true}, {"check": "one row takes, ms", "value": 0.00850100059324177, "limit": 1.0, "passed": true}, {"check": "served graph takes, MB", "value": 0.003126, "limit": 50.0, "passed": true}, {"check": "times that this very model was rolled back", "value": 0.0, "limit": 0.0, "passed": true}, {"check": "price band $100k to 200k got worse by, %", "value": 0.0, "limit": 10.0, "passed": true}, {"check": "RMSE surely gained (90% interval), $", "value": 0.0, "limit": 0.0, "passed": false}, {"check": "test RMSE gained on the champion, $", "value": 0.0, "limit": 0.0, "passed": false}]','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('served','served/1ae76cc19ed6','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('sha256','{"intervals.skops": "4d9af8946bd4eb2bd0b52b6a6b1c2a98c16eba024c2d601509964ea43066b80d", "model.skops": "10959b3876f3f828141263a515dbbf74f9555e43fb4807fbe3711b7dad8f7267", "served/1ae76cc19ed6/domain.json": "b32eb56fcd005c2566d5157419fd8eecd7a0919ba5593bc87d47b9da3be3168b", "served/1ae76cc19ed6/examples.json": "43712d4282d814a40eea2f12e6ea442deaf6a85ba1f47a905118569021d37290", "served/1ae76cc19ed6/model.onnx": "fe72d726181ecfa1f1471157cf3182280ee9709fe3a88089549e093a61d5a751"}','california-housing-sample',3,'default');
INSERT INTO "model_version_tags" VALUES('alias','challenger','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('before','2','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('after','3','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('action','refused','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('reason','RMSE surely gained (90% interval), $: 0 (limit 0); test RMSE gained on the champion, $: 0 (limit 0)','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('at','2026-11-28T21:04:57+00:00','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('who','ann','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('run_id','082b531b7ac24265ab11c1a82fca2320','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080300-0003/03_register.html','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('verdict','refused','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('done','yes','california-housing-sample-history',4,'default');
INSERT INTO "model_version_tags" VALUES('alias','champion','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('before','2','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('after','1','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('action','rolled back','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('reason','too dear in Fresno','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('at','2026-11-28T21:04:58+00:00','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('who','ann','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('run_id','f8acd757162949f4b63915b842b350c0','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080100-0001/03_register.html','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('verdict','promoted','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('done','yes','california-housing-sample-history',5,'default');
INSERT INTO "model_version_tags" VALUES('alias','champion','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('before','1','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('after','2','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('action','promoted by hand','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('reason','it was the map','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('at','2026-11-28T21:04:58+00:00','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('who','ann','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('run_id','b34c116017a047d790669315ea6685e3','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('report','reports/20261128-080200-0002/03_register.html','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('verdict','refused','california-housing-sample-history',6,'default');
INSERT INTO "model_version_tags" VALUES('done','yes','california-housing-sample-history',6,'default');
CREATE TABLE "model_versions" (
	name VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	creation_time BIGINT, 
	last_updated_time BIGINT, 
	description VARCHAR(5000), 
	user_id VARCHAR(256), 
	current_stage VARCHAR(20), 
	source VARCHAR(500), 
	run_id VARCHAR(32), 
	status VARCHAR(20), 
	status_message VARCHAR(500), 
	run_link VARCHAR(500), 
	storage_location VARCHAR(500), 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT model_version_pk PRIMARY KEY (workspace, name, version), 
	CONSTRAINT fk_model_versions_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('california-housing-sample',1,1795899893643,1795899893643,NULL,NULL,'None','models:/m-e27309e0a77247bb8cdb8fa707737574','f8acd757162949f4b63915b842b350c0','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-e27309e0a77247bb8cdb8fa707737574/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample-history',1,1795899893749,1795899893749,NULL,NULL,'None','models:/california-housing-sample/1','f8acd757162949f4b63915b842b350c0','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-e27309e0a77247bb8cdb8fa707737574/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample',2,1795899896084,1795899896084,NULL,NULL,'None','models:/m-4c5f96f723f94f80823b67e28bd41534','b34c116017a047d790669315ea6685e3','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-4c5f96f723f94f80823b67e28bd41534/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample-history',2,1795899896142,1795899896142,NULL,NULL,'None','models:/california-housing-sample/2','b34c116017a047d790669315ea6685e3','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-4c5f96f723f94f80823b67e28bd41534/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample-history',3,1795899896415,1795899896415,NULL,NULL,'None','models:/california-housing-sample/2','b34c116017a047d790669315ea6685e3','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-4c5f96f723f94f80823b67e28bd41534/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample',3,1795899897855,1795899897855,NULL,NULL,'None','models:/m-5a2349f98e2b4b6e9951b78ce38e2bbf','082b531b7ac24265ab11c1a82fca2320','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-5a2349f98e2b4b6e9951b78ce38e2bbf/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample-history',4,1795899897887,1795899897887,NULL,NULL,'None','models:/california-housing-sample/3','082b531b7ac24265ab11c1a82fca2320','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-5a2349f98e2b4b6e9951b78ce38e2bbf/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample-history',5,1795899898032,1795899898032,NULL,NULL,'None','models:/california-housing-sample/1','f8acd757162949f4b63915b842b350c0','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-e27309e0a77247bb8cdb8fa707737574/artifacts','default');
INSERT INTO "model_versions" VALUES('california-housing-sample-history',6,1795899898176,1795899898176,NULL,NULL,'None','models:/california-housing-sample/2','b34c116017a047d790669315ea6685e3','READY',NULL,NULL,'{HOME_URI}/var/artifacts/models/m-4c5f96f723f94f80823b67e28bd41534/artifacts','default');
CREATE TABLE online_scoring_configs (
	online_scoring_config_id VARCHAR(36) NOT NULL, 
	scorer_id VARCHAR(36) NOT NULL, 
	sample_rate FLOAT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	filter_string TEXT, 
	CONSTRAINT online_scoring_config_pk PRIMARY KEY (online_scoring_config_id), 
	CONSTRAINT fk_online_scoring_configs_scorer_id FOREIGN KEY(scorer_id) REFERENCES scorers (scorer_id) ON DELETE CASCADE, 
	CONSTRAINT fk_online_scoring_configs_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "params" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000) NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('degree','1','f8acd757162949f4b63915b842b350c0');
INSERT INTO "params" VALUES('alpha','1.0','f8acd757162949f4b63915b842b350c0');
INSERT INTO "params" VALUES('degree','1','3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "params" VALUES('alpha','1.0','3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "params" VALUES('degree','1','2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "params" VALUES('alpha','506.1576888752306','2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "params" VALUES('degree','1','b34c116017a047d790669315ea6685e3');
INSERT INTO "params" VALUES('alpha','1.0','b34c116017a047d790669315ea6685e3');
INSERT INTO "params" VALUES('degree','1','a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "params" VALUES('alpha','1.0','a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "params" VALUES('degree','1','6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "params" VALUES('alpha','506.1576888752306','6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "params" VALUES('degree','1','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "params" VALUES('alpha','1.0','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "params" VALUES('degree','1','7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "params" VALUES('alpha','1.0','7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "params" VALUES('degree','1','34030040497742d69471ddf0b6869ad7');
INSERT INTO "params" VALUES('alpha','506.1576888752306','34030040497742d69471ddf0b6869ad7');
CREATE TABLE "registered_model_aliases" (
	alias VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT registered_model_alias_pk PRIMARY KEY (workspace, name, alias), 
	CONSTRAINT fk_registered_model_aliases_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
INSERT INTO "registered_model_aliases" VALUES('champion',2,'california-housing-sample','default');
INSERT INTO "registered_model_aliases" VALUES('challenger',3,'california-housing-sample','default');
CREATE TABLE "registered_model_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	name VARCHAR(256) NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT registered_model_tag_pk PRIMARY KEY (workspace, "key", name), 
	CONSTRAINT fk_registered_model_tags_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON UPDATE CASCADE
);
CREATE TABLE "registered_models" (
	name VARCHAR(256) NOT NULL, 
	creation_time BIGINT, 
	last_updated_time BIGINT, 
	description VARCHAR(5000), 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT registered_model_pk PRIMARY KEY (workspace, name)
);
INSERT INTO "registered_models" VALUES('california-housing-sample',1795899893573,1795899897855,NULL,'default');
INSERT INTO "registered_models" VALUES('california-housing-sample-history',1795899893709,1795899898176,'The history of california-housing-sample: each version is one move of an alias, not a model.','default');
CREATE TABLE review_queue_items (
	queue_id VARCHAR(36) NOT NULL, 
	item_type VARCHAR(16) NOT NULL, 
	item_id VARCHAR(50) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	completed_by VARCHAR(250), 
	completed_time_ms BIGINT, 
	creation_time_ms BIGINT NOT NULL, 
	last_update_time_ms BIGINT NOT NULL, 
	CONSTRAINT review_queue_items_pk PRIMARY KEY (queue_id, item_id), 
	CONSTRAINT fk_review_queue_items_queue_id FOREIGN KEY(queue_id) REFERENCES review_queues (queue_id) ON DELETE CASCADE
);
CREATE TABLE review_queue_label_schemas (
	queue_id VARCHAR(36) NOT NULL, 
	schema_id VARCHAR(36) NOT NULL, 
	CONSTRAINT review_queue_label_schemas_pk PRIMARY KEY (queue_id, schema_id), 
	CONSTRAINT fk_review_queue_label_schemas_queue_id FOREIGN KEY(queue_id) REFERENCES review_queues (queue_id) ON DELETE CASCADE
);
CREATE TABLE review_queue_users (
	queue_id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(250) NOT NULL, 
	CONSTRAINT review_queue_users_pk PRIMARY KEY (queue_id, user_id), 
	CONSTRAINT fk_review_queue_users_queue_id FOREIGN KEY(queue_id) REFERENCES review_queues (queue_id) ON DELETE CASCADE
);
CREATE TABLE review_queues (
	queue_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	queue_type VARCHAR(16) NOT NULL, 
	created_by VARCHAR(255), 
	creation_time_ms BIGINT NOT NULL, 
	last_update_time_ms BIGINT NOT NULL, 
	name_key VARCHAR(250) NOT NULL, 
	CONSTRAINT review_queues_pk PRIMARY KEY (queue_id), 
	CONSTRAINT fk_review_queues_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE, 
	CONSTRAINT uq_review_queues_experiment_name_key UNIQUE (experiment_id, name_key)
);
CREATE TABLE "runs" (
	run_uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(250), 
	source_type VARCHAR(20), 
	source_name VARCHAR(500), 
	entry_point_name VARCHAR(50), 
	user_id VARCHAR(256), 
	status VARCHAR(9), 
	start_time BIGINT, 
	end_time BIGINT, 
	source_version VARCHAR(50), 
	lifecycle_stage VARCHAR(20), 
	artifact_uri VARCHAR(200), 
	experiment_id INTEGER, deleted_time BIGINT, 
	CONSTRAINT run_pk PRIMARY KEY (run_uuid), 
	CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('f8acd757162949f4b63915b842b350c0','linear','UNKNOWN','','','root','FINISHED',1795899890671,1795899892453,'','active','{HOME_URI}/var/artifacts/f8acd757162949f4b63915b842b350c0/artifacts',1,NULL);
INSERT INTO "runs" VALUES('3d04e79c97c84f8d8fb0d24ccb143edb','trial 0','UNKNOWN','','','unknown','FINISHED',1795899892521,1795899892672,'','active','{HOME_URI}/var/artifacts/3d04e79c97c84f8d8fb0d24ccb143edb/artifacts',1,NULL);
INSERT INTO "runs" VALUES('2e9f14bd57274c1bb5d192b1c903b8e0','trial 1','UNKNOWN','','','unknown','FINISHED',1795899892720,1795899892816,'','active','{HOME_URI}/var/artifacts/2e9f14bd57274c1bb5d192b1c903b8e0/artifacts',1,NULL);
INSERT INTO "runs" VALUES('b34c116017a047d790669315ea6685e3','linear','UNKNOWN','','','root','FINISHED',1795899895134,1795899895467,'','active','{HOME_URI}/var/artifacts/b34c116017a047d790669315ea6685e3/artifacts',1,NULL);
INSERT INTO "runs" VALUES('a26dd38c3a2b497981470561f7b47e67','trial 0','UNKNOWN','','','unknown','FINISHED',1795899895491,1795899895535,'','active','{HOME_URI}/var/artifacts/a26dd38c3a2b497981470561f7b47e67/artifacts',1,NULL);
INSERT INTO "runs" VALUES('6be9d502ea9a49eea9edf9d9a8c50841','trial 1','UNKNOWN','','','unknown','FINISHED',1795899895541,1795899895581,'','active','{HOME_URI}/var/artifacts/6be9d502ea9a49eea9edf9d9a8c50841/artifacts',1,NULL);
INSERT INTO "runs" VALUES('082b531b7ac24265ab11c1a82fca2320','linear','UNKNOWN','','','root','FINISHED',1795899897039,1795899897263,'','active','{HOME_URI}/var/artifacts/082b531b7ac24265ab11c1a82fca2320/artifacts',1,NULL);
INSERT INTO "runs" VALUES('7658a9dcb0304a71a759a721a480c8b9','trial 0','UNKNOWN','','','unknown','FINISHED',1795899897299,1795899897336,'','active','{HOME_URI}/var/artifacts/7658a9dcb0304a71a759a721a480c8b9/artifacts',1,NULL);
INSERT INTO "runs" VALUES('34030040497742d69471ddf0b6869ad7','trial 1','UNKNOWN','','','unknown','FINISHED',1795899897348,1795899897388,'','active','{HOME_URI}/var/artifacts/34030040497742d69471ddf0b6869ad7/artifacts',1,NULL);
CREATE TABLE scheduler_leases (
	lease_key VARCHAR(255) NOT NULL, 
	acquired_at BIGINT NOT NULL, 
	ttl_seconds INTEGER NOT NULL, 
	CONSTRAINT scheduler_leases_pk PRIMARY KEY (lease_key)
);
CREATE TABLE scorer_versions (
	scorer_id VARCHAR(36) NOT NULL, 
	scorer_version INTEGER NOT NULL, 
	serialized_scorer TEXT NOT NULL, 
	creation_time BIGINT, 
	CONSTRAINT scorer_version_pk PRIMARY KEY (scorer_id, scorer_version), 
	CONSTRAINT fk_scorer_versions_scorer_id FOREIGN KEY(scorer_id) REFERENCES scorers (scorer_id) ON DELETE CASCADE
);
CREATE TABLE scorers (
	experiment_id INTEGER NOT NULL, 
	scorer_name VARCHAR(256) NOT NULL, 
	scorer_id VARCHAR(36) NOT NULL, 
	CONSTRAINT scorer_pk PRIMARY KEY (scorer_id), 
	CONSTRAINT fk_scorers_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE "secrets" (
	secret_id VARCHAR(36) NOT NULL, 
	secret_name VARCHAR(255) NOT NULL, 
	encrypted_value BLOB NOT NULL, 
	wrapped_dek BLOB NOT NULL, 
	kek_version INTEGER NOT NULL, 
	masked_value VARCHAR(500) NOT NULL, 
	provider VARCHAR(64), 
	auth_config TEXT, 
	description TEXT, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT secrets_pk PRIMARY KEY (secret_id), 
	CONSTRAINT uq_secrets_workspace_secret_name UNIQUE (workspace, secret_name)
);
CREATE TABLE span_metrics (
	trace_id VARCHAR(50) NOT NULL, 
	span_id VARCHAR(50) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT, 
	CONSTRAINT span_metrics_pk PRIMARY KEY (trace_id, span_id, "key"), 
	CONSTRAINT fk_span_metrics_span FOREIGN KEY(trace_id, span_id) REFERENCES spans (trace_id, span_id) ON DELETE CASCADE
);
CREATE TABLE "spans" (
	trace_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	span_id VARCHAR(50) NOT NULL, 
	parent_span_id VARCHAR(50), 
	name TEXT, 
	type VARCHAR(500), 
	status VARCHAR(50) NOT NULL, 
	start_time_unix_nano BIGINT NOT NULL, 
	end_time_unix_nano BIGINT, 
	duration_ns BIGINT GENERATED ALWAYS AS (end_time_unix_nano - start_time_unix_nano) STORED, 
	content TEXT NOT NULL, 
	input_cost FLOAT, 
	output_cost FLOAT, 
	total_cost FLOAT, 
	model_name VARCHAR(500), 
	model_provider VARCHAR(500), 
	CONSTRAINT spans_pk PRIMARY KEY (trace_id, span_id), 
	CONSTRAINT fk_spans_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_spans_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE sql_assessment_daily_rollups (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	metric_name VARCHAR(250) NOT NULL, 
	grouping_set VARCHAR(50) NOT NULL, 
	sample_count BIGINT NOT NULL, 
	sum_value FLOAT, 
	min_value FLOAT, 
	max_value FLOAT, 
	CONSTRAINT sql_assessment_daily_rollups_pk PRIMARY KEY (id)
);
CREATE TABLE sql_span_cost_daily_rollups (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	metric_name VARCHAR(250) NOT NULL, 
	grouping_set VARCHAR(50) NOT NULL, 
	model_name VARCHAR(500), 
	model_provider VARCHAR(500), 
	sample_count BIGINT NOT NULL, 
	sum_value FLOAT, 
	min_value FLOAT, 
	max_value FLOAT, 
	CONSTRAINT sql_span_cost_daily_rollups_pk PRIMARY KEY (id)
);
CREATE TABLE sql_trace_metric_daily_rollups (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	metric_name VARCHAR(250) NOT NULL, 
	grouping_set VARCHAR(50) NOT NULL, 
	trace_status VARCHAR(50), 
	sample_count BIGINT NOT NULL, 
	sum_value FLOAT, 
	min_value FLOAT, 
	max_value FLOAT, 
	p50_value FLOAT, 
	p90_value FLOAT, 
	p99_value FLOAT, 
	CONSTRAINT sql_trace_metric_daily_rollups_pk PRIMARY KEY (id)
);
CREATE TABLE sql_trace_rollup_rebuild_queue (
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	rollup_family VARCHAR(50) NOT NULL, 
	CONSTRAINT sql_trace_rollup_rebuild_queue_pk PRIMARY KEY (experiment_id, rollup_day, rollup_family)
);
CREATE TABLE "tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('mlflow.source.name','./make_service_home.py','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','a728a4f0e2bd4accb23b967db343d3024ff85555','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','w_compat','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('data_source','sample','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('data_version','','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('raw_md5','','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('raw_sha256','0348fd1903ed941364d661c8470c964270bec55342c2b2f04d015b95c064cd4d','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('train_sha256','20b5fb03f9b6f6730ae14b575be5253d2443b9ace7c06ab813b8396fb9e3521c','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('report','reports/20261128-080100-0001/03_register.html','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('notebook','03_register_small.ipynb','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('notebook_code_sha256','0000000000000000000000000000000000000000000000000000000000000001','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('pipeline.command','python run_pipeline.py -p prep.source=sample','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('lock_sha256','68f41bc13d3112f6263010f77003d0eb6afd25dc2512dc0b66006f559bd8e9fe','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('family','linear','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('training','20261128-080100-0001','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('mlflow.runName','linear','f8acd757162949f4b63915b842b350c0');
INSERT INTO "tags" VALUES('mlflow.parentRunId','f8acd757162949f4b63915b842b350c0','3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "tags" VALUES('mlflow.runName','trial 0','3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "tags" VALUES('pruned','false','3d04e79c97c84f8d8fb0d24ccb143edb');
INSERT INTO "tags" VALUES('mlflow.parentRunId','f8acd757162949f4b63915b842b350c0','2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "tags" VALUES('mlflow.runName','trial 1','2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "tags" VALUES('pruned','false','2e9f14bd57274c1bb5d192b1c903b8e0');
INSERT INTO "tags" VALUES('mlflow.user','root','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('mlflow.source.name','./make_service_home.py','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','a728a4f0e2bd4accb23b967db343d3024ff85555','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','w_compat','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('data_source','sample','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('data_version','','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('raw_md5','','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('raw_sha256','16a9deef67089459ae48547d5639f9191a34d51d0dd68f3a0c16861f32817a0f','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('train_sha256','5fb3f1f9ff55b118b2ef14f8a4627eb6e8bf462aaafdeed0465b5b9a7f516a69','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('report','reports/20261128-080200-0002/03_register.html','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('notebook','03_register_small.ipynb','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('notebook_code_sha256','0000000000000000000000000000000000000000000000000000000000000002','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('pipeline.command','python run_pipeline.py -p prep.source=sample','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('lock_sha256','68f41bc13d3112f6263010f77003d0eb6afd25dc2512dc0b66006f559bd8e9fe','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('family','linear','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('training','20261128-080200-0002','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('mlflow.runName','linear','b34c116017a047d790669315ea6685e3');
INSERT INTO "tags" VALUES('mlflow.parentRunId','b34c116017a047d790669315ea6685e3','a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "tags" VALUES('mlflow.runName','trial 0','a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "tags" VALUES('pruned','false','a26dd38c3a2b497981470561f7b47e67');
INSERT INTO "tags" VALUES('mlflow.parentRunId','b34c116017a047d790669315ea6685e3','6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "tags" VALUES('mlflow.runName','trial 1','6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "tags" VALUES('pruned','false','6be9d502ea9a49eea9edf9d9a8c50841');
INSERT INTO "tags" VALUES('mlflow.user','root','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('mlflow.source.name','./make_service_home.py','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','a728a4f0e2bd4accb23b967db343d3024ff85555','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','w_compat','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('data_source','sample','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('data_version','','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('raw_md5','','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('raw_sha256','03484f0d924af281f91f6f338943c0b99ace612cfa5aeda79eed1caa3ce87ad3','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('train_sha256','9742f5d203fa3db12665db74464b7306e645f1c690e7ea34bc9fd7012b2e7ceb','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('report','reports/20261128-080300-0003/03_register.html','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('notebook','03_register_small.ipynb','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('notebook_code_sha256','0000000000000000000000000000000000000000000000000000000000000003','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('pipeline.command','python run_pipeline.py -p prep.source=sample','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('lock_sha256','68f41bc13d3112f6263010f77003d0eb6afd25dc2512dc0b66006f559bd8e9fe','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('family','linear','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('training','20261128-080300-0003','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('mlflow.runName','linear','082b531b7ac24265ab11c1a82fca2320');
INSERT INTO "tags" VALUES('mlflow.parentRunId','082b531b7ac24265ab11c1a82fca2320','7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "tags" VALUES('mlflow.runName','trial 0','7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "tags" VALUES('pruned','false','7658a9dcb0304a71a759a721a480c8b9');
INSERT INTO "tags" VALUES('mlflow.parentRunId','082b531b7ac24265ab11c1a82fca2320','34030040497742d69471ddf0b6869ad7');
INSERT INTO "tags" VALUES('mlflow.runName','trial 1','34030040497742d69471ddf0b6869ad7');
INSERT INTO "tags" VALUES('pruned','false','34030040497742d69471ddf0b6869ad7');
CREATE TABLE "trace_info" (
	request_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	timestamp_ms BIGINT NOT NULL, 
	execution_time_ms BIGINT, 
	status VARCHAR(50) NOT NULL, 
	client_request_id VARCHAR(50), 
	request_preview VARCHAR(1000), 
	response_preview VARCHAR(1000), 
	db_payload_generation INTEGER DEFAULT '0' NOT NULL, trace_name VARCHAR(4096), session_id VARCHAR(250), input_tokens BIGINT, output_tokens BIGINT, total_tokens BIGINT, cache_read_input_tokens BIGINT, cache_creation_input_tokens BIGINT, cache_creation_input_tokens_above_1hr BIGINT, input_cost FLOAT, output_cost FLOAT, total_cost FLOAT, 
	CONSTRAINT trace_info_pk PRIMARY KEY (request_id), 
	CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE trace_metrics (
	request_id VARCHAR(50) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT, 
	CONSTRAINT trace_metrics_pk PRIMARY KEY (request_id, "key"), 
	CONSTRAINT fk_trace_metrics_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE "trace_request_metadata" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_request_metadata_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE "trace_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_tag_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_tags_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE webhook_events (
	webhook_id VARCHAR(256) NOT NULL, 
	entity VARCHAR(50) NOT NULL, 
	action VARCHAR(50) NOT NULL, 
	CONSTRAINT webhook_event_pk PRIMARY KEY (webhook_id, entity, action), 
	FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE cascade
);
CREATE TABLE "webhooks" (
	webhook_id VARCHAR(256) NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	description VARCHAR(1000), 
	url VARCHAR(500) NOT NULL, 
	status VARCHAR(20) DEFAULT 'ACTIVE' NOT NULL, 
	secret VARCHAR(1000), 
	creation_timestamp BIGINT, 
	last_updated_timestamp BIGINT, 
	deleted_timestamp BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT webhook_pk PRIMARY KEY (webhook_id)
);
CREATE TABLE workspaces (
	name VARCHAR(63) NOT NULL, 
	description TEXT, 
	default_artifact_root TEXT, trace_archival_location TEXT, trace_archival_retention VARCHAR(32), 
	CONSTRAINT workspaces_pk PRIMARY KEY (name)
);
INSERT INTO "workspaces" VALUES('default','Default workspace for legacy resources',NULL,NULL,NULL);
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics (run_uuid);
CREATE INDEX index_inputs_input_uuid ON inputs (input_uuid);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON inputs (destination_type, destination_id, source_type);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
CREATE INDEX index_trace_tags_request_id ON trace_tags (request_id);
CREATE INDEX index_trace_request_metadata_request_id ON trace_request_metadata (request_id);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON datasets (experiment_id, dataset_source_type);
CREATE INDEX index_datasets_dataset_uuid ON datasets (dataset_uuid);
CREATE INDEX index_logged_model_metrics_model_id ON logged_model_metrics (model_id);
CREATE INDEX index_entity_associations_association_id ON entity_associations (association_id);
CREATE INDEX index_entity_associations_reverse_lookup ON entity_associations (destination_type, destination_id, source_type, source_id);
CREATE INDEX idx_webhook_events_entity ON webhook_events (entity);
CREATE INDEX idx_webhook_events_action ON webhook_events (action);
CREATE INDEX idx_webhook_events_entity_action ON webhook_events (entity, action);
CREATE UNIQUE INDEX index_scorers_experiment_id_scorer_name ON scorers (experiment_id, scorer_name);
CREATE INDEX index_scorer_versions_scorer_id ON scorer_versions (scorer_id);
CREATE INDEX index_evaluation_dataset_tags_dataset_id ON evaluation_dataset_tags (dataset_id);
CREATE INDEX index_evaluation_dataset_records_dataset_id ON evaluation_dataset_records (dataset_id);
CREATE INDEX index_endpoint_model_mappings_endpoint_id ON endpoint_model_mappings (endpoint_id);
CREATE INDEX index_endpoint_model_mappings_model_definition_id ON endpoint_model_mappings (model_definition_id);
CREATE INDEX index_endpoint_tags_endpoint_id ON endpoint_tags (endpoint_id);
CREATE INDEX index_trace_metrics_request_id ON trace_metrics (request_id);
CREATE UNIQUE INDEX unique_endpoint_model_linkage_mapping ON endpoint_model_mappings (endpoint_id, model_definition_id, linkage_type);
CREATE INDEX index_span_metrics_trace_id_span_id ON span_metrics (trace_id, span_id);
CREATE INDEX index_evaluation_datasets_name ON evaluation_datasets (name);
CREATE INDEX index_evaluation_datasets_created_time ON evaluation_datasets (created_time);
CREATE INDEX idx_webhooks_name ON webhooks (name);
CREATE INDEX idx_webhooks_status ON webhooks (status);
CREATE TRIGGER prevent_secrets_aad_mutation
BEFORE UPDATE ON secrets
FOR EACH ROW
WHEN OLD.secret_id != NEW.secret_id OR OLD.secret_name != NEW.secret_name
BEGIN
    SELECT RAISE(ABORT, 'secret_id and secret_name are immutable (used as AAD in encryption)');
END;
CREATE INDEX index_model_definitions_provider ON model_definitions (provider);
CREATE INDEX index_model_definitions_secret_id ON model_definitions (secret_id);
CREATE INDEX index_jobs_name_status_creation_time ON jobs (job_name, workspace, status, creation_time);
CREATE INDEX idx_experiments_workspace ON experiments (workspace);
CREATE INDEX idx_registered_models_workspace ON registered_models (workspace);
CREATE INDEX idx_experiments_workspace_creation_time ON experiments (workspace, creation_time);
CREATE INDEX idx_evaluation_datasets_workspace ON evaluation_datasets (workspace);
CREATE INDEX idx_webhooks_workspace ON webhooks (workspace);
CREATE INDEX idx_secrets_workspace ON secrets (workspace);
CREATE INDEX idx_endpoints_workspace ON endpoints (workspace);
CREATE INDEX idx_model_definitions_workspace ON model_definitions (workspace);
CREATE INDEX idx_budget_policies_workspace ON budget_policies (workspace);
CREATE INDEX index_issues_experiment_id ON issues (experiment_id);
CREATE INDEX index_issues_source_run_id ON issues (source_run_id);
CREATE INDEX index_issues_status ON issues (status);
CREATE INDEX index_metrics_run_uuid_key_step ON metrics (run_uuid, "key", step);
CREATE INDEX idx_guardrails_workspace ON guardrails (workspace);
CREATE INDEX idx_guardrails_scorer ON guardrails (scorer_id, scorer_version);
CREATE INDEX idx_guardrail_configs_endpoint_id ON guardrail_configs (endpoint_id);
CREATE INDEX idx_guardrail_configs_guardrail_id ON guardrail_configs (guardrail_id);
CREATE INDEX idx_model_version_tags_workspace_name_version ON model_version_tags (workspace, name, version);
CREATE INDEX idx_registered_model_tags_workspace_name ON registered_model_tags (workspace, name);
CREATE INDEX index_label_schemas_experiment_id ON label_schemas (experiment_id);
CREATE INDEX index_review_queues_experiment_id ON review_queues (experiment_id);
CREATE INDEX index_review_queue_users_user_id ON review_queue_users (user_id);
CREATE INDEX index_review_queue_items_queue_id_status ON review_queue_items (queue_id, status);
CREATE INDEX index_review_queue_items_item_id ON review_queue_items (item_id);
CREATE INDEX index_review_queue_label_schemas_schema_id ON review_queue_label_schemas (schema_id);
CREATE INDEX idx_mcp_server_versions_latest ON mcp_server_versions (workspace, name, status, version_major DESC, version_minor DESC, version_patch DESC);
CREATE INDEX ix_mcp_access_endpoints_server_name ON mcp_access_endpoints (workspace, server_name);
CREATE INDEX ix_mcp_access_endpoints_version ON mcp_access_endpoints (workspace, server_name, server_version);
CREATE INDEX ix_mcp_access_endpoints_alias ON mcp_access_endpoints (workspace, server_name, server_alias);
CREATE INDEX idx_budget_policies_target_value ON budget_policies (target_value);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON trace_info (experiment_id, timestamp_ms);
CREATE INDEX index_trace_info_timestamp_ms_request_id ON trace_info (timestamp_ms, request_id);
CREATE INDEX index_assessments_run_id_created_timestamp ON assessments (run_id, created_timestamp);
CREATE INDEX index_assessments_assessment_type ON assessments (assessment_type);
CREATE INDEX index_assessments_trace_id_created_timestamp ON assessments (trace_id, created_timestamp);
CREATE INDEX index_assessments_last_updated_timestamp ON assessments (last_updated_timestamp);
CREATE INDEX index_spans_experiment_id_duration ON spans (experiment_id, duration_ns);
CREATE INDEX index_spans_experiment_id_status_type ON spans (experiment_id, status, type);
CREATE INDEX index_spans_experiment_id_type_status ON spans (experiment_id, type, status);
CREATE INDEX index_spans_experiment_id_start_time ON spans (experiment_id, start_time_unix_nano);
CREATE INDEX index_trace_info_experiment_id_session_id ON trace_info (experiment_id, session_id);
CREATE INDEX idx_trace_rollups_lookup ON sql_trace_metric_daily_rollups (experiment_id, rollup_day, metric_name, grouping_set, trace_status);
CREATE INDEX idx_span_cost_rollups_lookup ON sql_span_cost_daily_rollups (experiment_id, rollup_day, metric_name, grouping_set, model_name, model_provider);
CREATE INDEX idx_assessment_rollups_lookup ON sql_assessment_daily_rollups (experiment_id, rollup_day, metric_name, grouping_set);
CREATE INDEX idx_spans_cost_trace_time_cover ON spans (trace_id, start_time_unix_nano);
CREATE INDEX idx_spans_cost_exp_time_cover ON spans (experiment_id, start_time_unix_nano);
CREATE INDEX idx_assessments_exp_trace_ts ON assessments (experiment_id, trace_timestamp_ms);
CREATE INDEX idx_assessments_exp_trace_ts_name ON assessments (experiment_id, trace_timestamp_ms, name);
CREATE INDEX idx_assessments_exp_name_valid ON assessments (experiment_id, name, valid);
CREATE INDEX index_job_locks_job_id ON job_locks (job_id);
CREATE INDEX index_jobs_status_lease_expires_at ON jobs (status, lease_expires_at);
COMMIT;
